"""An answer that was not accepted, and a cause that several such answers share."""

from datetime import datetime

from firstline.schemas.base import Frozen, Json, JsonObject


class Failure(Frozen):
    """One rejected answer: by which prompt and model, why, and what happened next."""

    job: str
    item_id: str
    step: str
    n: int
    skill: str
    skill_version: int | None
    skill_digest: str | None
    tier: str
    model: str
    at: datetime
    #: Kind of error: off_schema, checks, unsure, ...
    error: str | None
    #: Names of the checks that failed, and why.
    checks: tuple[str, ...]
    reasons: tuple[str, ...]
    verdict: str
    value: Json
    text: str | None
    #: Such as `frontier answered it`, `retried: checks`, `the item failed`.
    then: str
    #: The item's fields, and what its subtask settled with in the end (None: it did not).
    input: JsonObject
    settled: Json = None
    settled_by: str | None = None


class Cause(Frozen):
    """Failures that look alike."""

    skill: str
    #: The check that failed, or the kind of error where no check did.
    check: str
    error: str | None
    #: The reason that most of them give, names and numbers replaced.
    reason: str
    count: int
    models: dict[str, int]
    versions: tuple[int, ...]
    #: Of these, how many settled in the end.
    mended: int
    #: A few of them: job/item.
    examples: tuple[str, ...]
