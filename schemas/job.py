"""A job as a producer submits and sees it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, Field

from firstline.schemas.access import Role
from firstline.schemas.base import Frozen, Json
from firstline.schemas.plan import Workflow
from firstline.schemas.tier import Profile


def _in_utc(at: datetime) -> datetime:
    """Return a time as UTC; ValueError where it is before the first year there or after the last."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"expected a time of the years 1 to 9999 of UTC, got {at.isoformat()}") from None


#: A time with its zone that UTC has, too.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class JobState(StrEnum):
    """Where a job stands; `docs/architecture.md` draws the arrows."""

    #: Its items are still being written.
    RECEIVING = "receiving"
    #: Written; nobody has begun it.
    SUBMITTED = "submitted"
    #: The planner model is writing its plan.
    PLANNING = "planning"
    #: A plan waits for a person's yes.
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    #: Stopped by a person or a budget; can be resumed.
    PAUSED = "paused"
    #: Every item has ended.
    DONE = "done"
    #: The job itself could not go on (no valid plan, for instance).
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def works(self) -> bool:
        """Whether its messages are sent."""
        return self in WORKING

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


#: States in which a job's messages are sent.
WORKING = (JobState.PLANNING, JobState.RUNNING)

_AGAIN = frozenset({JobState.PLANNING, JobState.RUNNING})
#: What each state may become; a compare-and-set that asks for another move is a bug.
JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.RECEIVING: frozenset({JobState.SUBMITTED, JobState.FAILED}),
    JobState.SUBMITTED: _AGAIN | {JobState.CANCELLED, JobState.FAILED},
    JobState.PLANNING: frozenset(
        {JobState.RUNNING, JobState.AWAITING_APPROVAL, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}
    ),
    JobState.AWAITING_APPROVAL: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.PAUSED, JobState.DONE, JobState.CANCELLED, JobState.FAILED}),
    JobState.PAUSED: _AGAIN | {JobState.CANCELLED, JobState.FAILED},
    # Failed items are retried.
    JobState.DONE: _AGAIN,
    JobState.FAILED: _AGAIN,
    JobState.CANCELLED: _AGAIN,
}


class ItemState(StrEnum):
    """Where an item stands."""

    PENDING = "pending"
    #: Waits for a person.
    REVIEW = "review"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (ItemState.SETTLED, ItemState.FAILED, ItemState.CANCELLED)


_ENDS = frozenset({ItemState.SETTLED, ItemState.FAILED, ItemState.CANCELLED})
#: What each state may become.
ITEM_MOVES: Mapping[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: _ENDS | {ItemState.REVIEW},
    ItemState.REVIEW: _ENDS | {ItemState.PENDING},
    ItemState.SETTLED: frozenset(),
    # It is retried.
    ItemState.FAILED: frozenset({ItemState.PENDING}),
    ItemState.CANCELLED: frozenset({ItemState.PENDING}),
}


class Priority(StrEnum):
    """Who goes first when tiers are full."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Rerun(StrEnum):
    """Which rows of a table that was run before are answered again."""

    ALL = "all"
    #: New and changed ones, and those whose skill, models or certificates are not as they were.
    CHANGED = "changed"


class Options(Frozen):
    """How a job is to be run."""

    profile: str = "recorded"
    #: Hard cap in dollars; the job pauses before it would exceed it.
    budget_usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    priority: Priority = Priority.NORMAL
    deadline: Moment | None = None
    tenant: str = "default"
    #: Answer from, and keep in, the response cache that all jobs share.
    cache: bool = False
    #: Answer identical items once.
    dedupe: bool = True
    #: `changed`: rows that are as they were in an earlier job take over the answer that it has.
    rerun: Rerun = Rerun.ALL
    #: Only these tiers of the ladder (baselines, comparisons).
    tiers: tuple[str, ...] = ()
    webhook_url: str | None = None
    approve: bool = False
    #: Tools that the planner of a goal, of a step of kind `plan` or of an adapted plan may choose, besides those that
    #: their declarations grant.
    tools: tuple[str, ...] = ()
    #: `run`, or what else asked for the job: `baseline`, `calibrate`, `compare`, `audit`, `judge`, `look`,
    #: `shadow`, `adopt`.
    purpose: str = "run"

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with `changes`, validated: they come from people. ValidationError says what will not do."""
        set_already = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**set_already, **changes})


class JobRequest(Frozen):
    """What `submit` takes besides the items."""

    #: Name of a workflow or of a skill, or a workflow itself.
    workflow: str | Workflow | None = None
    #: What is wanted, in plain words: the planner model writes the plan.
    goal: str | None = None
    name: str | None = None
    #: A ladder given whole instead of by name.
    profile: Profile | None = None
    options: Options = Options()
    idempotency_key: str | None = Field(default=None, max_length=200)
    #: Of whoever submits it: which tools a planner may choose depends on that. This machine's user may do everything.
    role: Role = Role.ADMIN


class JobStatus(Frozen):
    """A job at one moment."""

    job: str
    name: str
    state: JobState
    reason: str | None = None
    items: int
    settled: int
    failed: int
    review: int = 0
    cancelled: int = 0
    #: Settled items of which an answer was accepted above the tier that its step begins on.
    escalated: int = 0
    #: Accepted answers by tier.
    by_tier: dict[str, int] = Field(default_factory=dict)
    attempts: int = 0
    cost_usd: float = 0.0
    #: Attempts whose cost is unknown because their model has no price.
    unpriced: int = 0
    budget_usd: float | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    #: What it waits for, in sentences with how to mend it; filled only where that was asked for.
    waits_for: tuple[str, ...] = ()

    @property
    def ended_items(self) -> int:
        """Items that have ended, in whatever way."""
        return self.settled + self.failed + self.cancelled

    @property
    def came_to_nothing(self) -> bool:
        """Whether every item has ended and not one of them settled: done, and no success."""
        return self.state is JobState.DONE and self.items > 0 and not self.settled

    @property
    def state_in_words(self) -> str:
        """Its state for people, who take a bare `done` for a success."""
        words = self.state.value.replace("_", " ")
        return f"{words}, nothing settled" if self.came_to_nothing else words

    @property
    def rests(self) -> bool:
        """Whether nothing more happens without a person."""
        if self.state.ended or self.state in (JobState.PAUSED, JobState.AWAITING_APPROVAL):
            return True
        return bool(self.review and self.review + self.ended_items >= self.items)


class ItemResult(Frozen):
    """One item's result: the line that `--out` gets."""

    item_id: str
    status: ItemState
    output: Json = None
    #: Highest tier whose answer was accepted.
    tier: str | None = None
    #: The lowest of its accepted answers; None: no signal said anything.
    confidence: float | None = None
    attempts: int = 0
    cost_usd: float | None = None
    latency_s: float | None = None
    reason: str | None = None
    #: An accepted answer had to be mended to be read, without losing a letter; the attempts say how.
    repaired: bool = False

    @property
    def text(self) -> str:
        """Its output for those who read: a text as it is, anything else as JSON."""
        return self.output if isinstance(self.output, str) else json.dumps(self.output, ensure_ascii=False)


class Event(Frozen):
    """Something that happened to a job, for those who watch."""

    job: str
    at: datetime
    name: str
    text: str = ""
    status: JobStatus | None = None
