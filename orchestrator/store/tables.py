"""The tables. SQL is the truth: everything else may be lost and is rebuilt from here."""

from datetime import datetime

from sqlalchemy import JSON, Index, Text, text
from sqlmodel import Field, SQLModel

from firstline.orchestrator.store.types import UtcDateTime
from firstline.schemas.base import Json

_HAS_DIGEST = text("digest IS NOT NULL")


class JobRow(SQLModel, table=True):
    """One job."""

    __tablename__ = "job"

    id: str = Field(primary_key=True)
    name: str
    workflow: str
    goal: str | None = Field(default=None, sa_type=Text)
    state: str = Field(index=True)
    reason: str | None = Field(default=None, sa_type=Text)
    #: The budget that paused it, and its cap at that time: it goes on by itself when either is another.
    held_by: str | None = None
    held_cap_usd: float | None = None
    tenant: str = "default"
    priority: str = "normal"
    purpose: str = "run"
    plan: dict[str, Json] | None = Field(default=None, sa_type=JSON)
    #: Counts the plan's changes, so that a parsed one can be kept.
    plan_version: int = 0
    profile: dict[str, Json] = Field(sa_type=JSON)
    options: dict[str, Json] = Field(sa_type=JSON)
    #: Folders of the user's own skills and functions.
    folders: list[str] = Field(default_factory=list, sa_type=JSON)
    budget_usd: float | None = None
    #: What it was expected to cost before it began.
    estimate: dict[str, Json] | None = Field(default=None, sa_type=JSON)
    idempotency_key: str | None = Field(default=None, unique=True)
    #: SHA-256 of the request that brought the key, so that the key with another request can be told.
    request_digest: str | None = None
    #: Digest of all that shapes its answers (`submission.earlier_answers`); None: they stand for no item alone.
    recipe: str | None = Field(default=None, index=True)
    items: int = 0
    #: Items that one of its shards holds at most: fewer than usual where they are large.
    shard_items: int = Field(default=200, sa_column_kwargs={"server_default": "200"})
    segment: int = 0
    #: Version of the code that wrote it.
    version: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: From when until when it lay between two runs, as ISO times; the last one has no end while it is paused.
    breaks: list[list[str]] = Field(default_factory=list, sa_type=JSON)
    deadline: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When its producer last handed items in.
    heard_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ItemRow(SQLModel, table=True):
    """One input of a job, and its result."""

    __tablename__ = "item"
    __table_args__ = (
        Index("item_by_state", "job", "state", "tier"),
        Index("item_by_id", "job", "item_id"),
        # Within a job: contents come in no order, and an index of all there ever were is ever slower to fill.
        # Partial, though nearly all have one: who asks for a job's items alone is not to read them in that order.
        Index("item_by_content", "job", "digest", sqlite_where=_HAS_DIGEST, postgresql_where=_HAS_DIGEST),
    )

    job: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    item_id: str
    input: dict[str, Json] = Field(sa_type=JSON)
    state: str = "pending"
    #: The segment that it is in; -1 for one that was refused when it was handed in.
    segment: int = 0
    output: Json = Field(default=None, sa_type=JSON, nullable=True)
    tier: str | None = None
    #: An answer of it was accepted on a higher tier than the one that its step begins on; None: not known (yet).
    climbed: bool | None = None
    attempts: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    reason: str | None = Field(default=None, sa_type=Text)
    #: Number of the first item with the same input; this one takes over its result.
    same_as: int | None = None
    #: Digest of its content.
    digest: str | None = None
    #: The earlier job that its answer was taken over from; what it cost there, and how sure it was.
    taken_from: str | None = None
    saved_usd: float | None = None
    confidence: float | None = None
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SubtaskRow(SQLModel, table=True):
    """One step for one item (item -1: for the whole job)."""

    __tablename__ = "subtask"
    __table_args__ = (Index("subtask_due", "state", "due_at"),)

    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    #: open, deferred, paused, waiting (to be asked anew in its turn), referred, review, settled, skipped, failed
    state: str
    tier: str
    #: Number of its next attempt.
    n: int = 0
    #: Attempts used on its tier.
    used: int = 0
    #: How often every model of its tier has failed on it, weighed (`HOPELESS` in `policy` ends it), and `LATE`
    #: for each call that timed out for it alone.
    faults: int = 0
    referrals: int = 0
    #: What it answered; while it is asked anew, what it answered before (by a model of `kept_tier`).
    value: Json = Field(default=None, sa_type=JSON, nullable=True)
    #: Tier of the earlier answer, which stands if no better one comes.
    kept_tier: str | None = None
    feedback: list[str] = Field(default_factory=list, sa_type=JSON)
    effort: str | None = None
    instruction: str | None = Field(default=None, sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The batch that holds it.
    batch: str | None = None


class AttemptRow(SQLModel, table=True):
    """One model call: what it cost, what it answered, what followed. Money is the sum of these rows."""

    __tablename__ = "attempt"
    __table_args__ = (Index("attempt_by_time", "started_at"),)

    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    n: int = Field(primary_key=True)
    purpose: str = "answer"
    tier: str
    model: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    latency_s: float
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_long_tokens: int | None = None
    audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_output_tokens: int | None = None
    image_output_tokens: int | None = None
    searches: int | None = None
    cost_usd: float | None = None
    price_source: str | None = None
    service_tier: str | None = None
    finish_reason: str | None = None
    structured: str | None = None
    text: str | None = Field(default=None, sa_type=Text)
    value: Json = Field(default=None, sa_type=JSON, nullable=True)
    error: str | None = None
    detail: str | None = Field(default=None, sa_type=Text)
    checks: list[Json] = Field(default_factory=list, sa_type=JSON)
    signal: str | None = None
    confidence: float | None = None
    #: Of a skill with several signals: all that were measured.
    signals: dict[str, float] | None = Field(default=None, sa_type=JSON)
    verdict: str = ""
    reason: str = Field(default="", sa_type=Text)
    skill: str = ""
    skill_version: int | None = None
    skill_digest: str | None = None
    effort: str | None = None
    from_cache: bool = False
    saved_usd: float | None = None
    worker: str = ""


class ShardRow(SQLModel, table=True):
    """The items that one sub-orchestrator looks after in one segment."""

    __tablename__ = "shard"
    __table_args__ = (Index("shard_by_state", "job", "segment", "state"),)

    job: str = Field(primary_key=True)
    segment: int = Field(primary_key=True)
    n: int = Field(primary_key=True)
    lo: int
    hi: int
    #: Items (or the whole-job subtask) that have not finished this segment.
    open: int
    #: waiting, released (an orchestrator is to cut it), cut (its batches are out), passed (its chord is through,
    #: something is parked), closed
    state: str = "waiting"
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class BatchRow(SQLModel, table=True):
    """A message that was decided on: the outbox, and what the rescue sweep looks at."""

    __tablename__ = "batch"
    __table_args__ = (Index("batch_by_state", "state", "changed_at"), Index("batch_by_parent", "parent"))

    id: str = Field(primary_key=True)
    job: str = Field(index=True)
    segment: int
    shard: int
    tier: str
    #: The subtask that it carries alone (one of the whole job, a referral); empty: the items' own steps.
    lane: str = ""
    items: list[int] = Field(sa_type=JSON)
    #: How many they are.
    size: int = 0
    #: The batch whose judging made this one.
    parent: str | None = None
    #: filling (waits for a provider batch of its tier), handed_in (is in one), ready (not yet published), sent, judged,
    #: dropped
    state: str = "ready"
    #: The provider batch that it went to a Batch API with.
    provider_batch: str | None = Field(default=None, index=True)
    #: Deliveries that ended with the worker's death.
    lost: int = 0
    changed_at: datetime = Field(sa_type=UtcDateTime)


class DecisionRow(SQLModel, table=True):
    """A decision of the orchestrator model, a person or the engine that is not a verdict on one answer."""

    __tablename__ = "decision"

    id: int | None = Field(default=None, primary_key=True)
    job: str = Field(index=True)
    item: int | None = None
    step: str | None = None
    #: plan, refer, checkpoint, adapt, review, budget, drift, ...
    kind: str
    #: Who decided: a model's name, `person`, `engine`.
    by: str
    choice: str
    reason: str = Field(default="", sa_type=Text)
    data: dict[str, Json] = Field(default_factory=dict, sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)


class WebhookRow(SQLModel, table=True):
    """Whom to tell when a job comes to rest, and what was told last."""

    __tablename__ = "webhook"
    __table_args__ = (Index("webhook_due", "state", "due_at"),)

    job: str = Field(primary_key=True)
    url: str = Field(sa_type=Text)
    #: waiting, given_up
    state: str = "waiting"
    #: The job's state that was told last, and when the job had ended by then.
    told: str | None = None
    told_ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Deliveries of the present news that failed.
    failures: int = 0
    reason: str | None = Field(default=None, sa_type=Text)
    due_at: datetime = Field(sa_type=UtcDateTime)


class BudgetRow(SQLModel, table=True):
    """What a tenant (`*`: all of them together) may spend."""

    __tablename__ = "budget"

    tenant: str = Field(primary_key=True)
    per_day_usd: float | None = None
    total_usd: float | None = None
    changed_at: datetime = Field(sa_type=UtcDateTime)


class ProviderBatchRow(SQLModel, table=True):
    """Batches of one job and tier that travel together through a provider's Batch API."""

    __tablename__ = "provider_batch"
    __table_args__ = (Index("provider_batch_due", "state", "due_at"),)

    id: str = Field(primary_key=True)
    job: str = Field(index=True)
    tier: str
    #: One of `schemas.provider_batch.ProviderBatchState`.
    state: str = "submitting"
    #: Requests in it, and how many came back answered.
    requests: int = 0
    answered: int = 0
    model: str | None = None
    #: The provider's own name for it.
    provider_id: str | None = None
    #: What its budgets were charged when it was submitted.
    reserved_usd: float | None = None
    #: How often a worker was told to submit it.
    tries: int = 0
    #: It brought nothing by the provider's fault.
    failed: bool = False
    #: Requests that the provider takes at once, where these were too many.
    fits: int | None = None
    reason: str | None = Field(default=None, sa_type=Text)
    #: When a worker is next told to submit it or to look after it.
    due_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
