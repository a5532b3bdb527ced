"""What travels: a batch of subtasks to a tier's queue, and the trail that comes back."""

from typing import Any

from pydantic import AliasChoices, AwareDatetime, Field

from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.plan import PlannedStep
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Tier
from firstline.schemas.tool import ToolSpec
from firstline.schemas.verdict import Parked

#: Version of the messages below. A worker refuses what is newer than it knows and hands it back.
MESSAGE_VERSION = 3
#: The item number of a subtask of the whole job.
WHOLE_JOB = -1


class SubtaskProgress(Frozen):
    """How far a subtask has come on its tier: what goes to a worker, comes back, and stands in its row."""

    #: Number of its next attempt.
    n: int = 0
    #: Attempts already used on this tier.
    used: int = 0
    #: How often every model of this tier has failed on it, weighed, and `LATE` of `policy` for each call that timed
    #: out for it alone, on any tier.
    faults: int = 0
    feedback: tuple[str, ...] = ()
    effort: str | None = None


#: Names of the fields of `SubtaskProgress`: whoever carries a subtask further has them under these names.
PROGRESS = tuple(SubtaskProgress.model_fields)


def progress_of(carrier: object) -> dict[str, Any]:
    """Return how far a subtask has come, from a message, a row or a running attempt that carries it."""
    return {name: getattr(carrier, name) for name in PROGRESS}


class Todo(SubtaskProgress):
    """A subtask that waits to be answered on this batch's tier."""

    step: str
    #: Instruction added by the orchestrator model.
    instruction: str | None = None


class Work(Frozen):
    """One item in a batch: what it holds, what earlier steps answered, what to answer now."""

    item: int
    item_id: str
    input: JsonObject
    settled: dict[str, Json] = Field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    #: Steps to be asked anew in their turn, with the number of their next attempt.
    asked: dict[str, int] = Field(default_factory=dict)
    #: Steps that have begun and are elsewhere: in another batch, or parked. They are not begun here once more.
    away: tuple[str, ...] = ()
    todo: tuple[Todo, ...] = Field(min_length=1)


class BudgetCap(Frozen):
    """A budget that a call must fit in: its key in Redis and its cap."""

    key: str
    cap_usd: float


class Batch(Frozen):
    """Subtasks of one job, segment and tier that travel in one message."""

    v: int = MESSAGE_VERSION
    id: str
    job: str
    job_name: str = ""
    #: Whose job it is: nothing of its answers is shared with others.
    tenant: str = "default"
    segment: int
    shard: int
    tier: Tier
    #: Names of the tiers that models answer on, cheapest first.
    ladder: tuple[str, ...]
    #: Other tiers that confidence signals ask, by name.
    others: dict[str, Tier] = Field(default_factory=dict)
    steps: tuple[PlannedStep, ...]
    skills: dict[str, Skill] = Field(default_factory=dict)
    tools: dict[str, ToolSpec] = Field(default_factory=dict)
    #: Folders of the user's own functions.
    folders: tuple[str, ...] = ()
    #: `rations` in messages of version 2.
    caps: tuple[BudgetCap, ...] = Field(default=(), validation_alias=AliasChoices("caps", "rations"))
    #: Use the shared response cache.
    cache: bool = False
    #: Of its job; 0 goes first.
    priority: int = 4
    #: By when its job is to be done.
    deadline: AwareDatetime | None = None
    #: Items of its job, where others of its kind ask the same of all of them.
    items: int = 0
    work: tuple[Work, ...] = Field(min_length=1)

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for it: its job has the highest priority."""
        return self.priority == 0

    @property
    def label(self) -> str:
        """What Flower shows: ids and counts, never contents."""
        todos = [todo for work in self.work for todo in work.todo]
        steps = ",".join(sorted({todo.step for todo in todos}))
        first, last = min(todo.n for todo in todos), max(todo.n for todo in todos)
        attempt = f"{first}" if first == last else f"{first}-{last}"
        ids = f"job={self.job} step={steps} tier={self.tier.name} attempt={attempt}"
        return f"{ids} batch={self.id} subtasks={len(todos)}"


class Settled(Frozen):
    """A subtask that the worker settled: its accepted value."""

    step: str
    n: int
    value: Json
    skipped: bool = False


class Left(SubtaskProgress):
    """A subtask that the worker did not settle, and why."""

    step: str
    verdict: Parked = Field(discriminator="kind")


class ItemTrail(Frozen):
    """All that happened to one item in one batch, in order."""

    item: int
    attempts: tuple[Attempt, ...] = ()
    settled: tuple[Settled, ...] = ()
    left: tuple[Left, ...] = ()


class Trail(Frozen):
    """What a worker answers to a batch."""

    v: int = MESSAGE_VERSION
    batch: str
    job: str
    segment: int
    shard: int
    tier: str
    worker: str = ""
    items: tuple[ItemTrail, ...] = ()
