"""What follows from an answer."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from firstline.schemas.base import Frozen


class Accept(Frozen):
    """The answer is good enough; the subtask settles."""

    kind: Literal["accept"] = "accept"
    reason: str = "passed its checks"


class Retry(Frozen):
    """Try again on the same tier, with what was wrong as feedback."""

    kind: Literal["retry"] = "retry"
    reason: str
    feedback: tuple[str, ...] = ()
    effort: str | None = None


class Escalate(Frozen):
    """Climb to the next tier."""

    kind: Literal["escalate"] = "escalate"
    reason: str
    #: Straight to the top tier: its answer is what another is compared with.
    to_top: bool = False


class Refer(Frozen):
    """Ask the orchestrator model what to do."""

    kind: Literal["refer"] = "refer"
    reason: str


class Review(Frozen):
    """Ask a person."""

    kind: Literal["review"] = "review"
    reason: str


class Reject(Frozen):
    """Give the subtask up."""

    kind: Literal["reject"] = "reject"
    reason: str


class DeferCause(StrEnum):
    """Why a call could not be made now although nothing is wrong with the item."""

    #: A limit would be exceeded; a time is known.
    LIMIT = "limit"
    #: No model of the tier is usable now.
    NO_MODEL = "no_model"
    BUDGET = "budget"
    #: Redis forgot what was spent; the orchestrator tells it again.
    BUDGET_UNKNOWN = "budget_unknown"
    CANCELLED = "cancelled"
    #: The worker is stopping and hands its work back.
    STOPPING = "stopping"
    #: It waits for its tier's next provider batch.
    BULK = "bulk"


class Defer(Frozen):
    """Nothing was answered; come back in `wait_s` seconds (or when `cause` has gone away). No attempt is used up."""

    kind: Literal["defer"] = "defer"
    cause: DeferCause
    wait_s: float = Field(ge=0)
    reason: str
    #: The budget that was in the way: its key and its cap then.
    budget: str | None = None
    cap_usd: float | None = None


Verdict = Accept | Retry | Escalate | Refer | Review | Reject
#: What a worker hands back about a subtask that it did not settle.
Parked = Escalate | Refer | Review | Reject | Defer
