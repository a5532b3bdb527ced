"""What a step of the whole job sees, and what follows from its answer."""

from dataclasses import dataclass, field

from firstline.orchestrator.core.context import Job
from firstline.schemas.base import Json, JsonObject


@dataclass(frozen=True)
class View:
    """What a subtask is shown: fields that stand for its item, and earlier steps' answers by name."""

    input: JsonObject = field(default_factory=dict)
    settled: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """How a job goes on behind a barrier; its plan may have changed."""

    job: Job
    #: Go back to this segment.
    back_to: int | None = None
    #: The job cannot go on, and why.
    failure: str | None = None
