"""What travels between orchestrators and workers about a provider batch: requests that go through a Batch API."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from firstline.schemas.base import Frozen
from firstline.schemas.batch import MESSAGE_VERSION, Batch
from firstline.schemas.tier import Tier
from firstline.schemas.verdict import Defer


class ProviderBatchAct(StrEnum):
    """What a worker is to do with a provider batch."""

    SUBMIT = "submit"
    #: Ask the provider how far it is.
    LOOK = "look"
    #: Fetch what came back and keep it as paid answers.
    COLLECT = "collect"
    CANCEL = "cancel"


class ProviderBatchOrder(Frozen):
    """One act on one provider batch; a worker may get it twice, and does it once."""

    v: int = MESSAGE_VERSION
    id: str
    act: ProviderBatchAct
    job: str
    tier: Tier
    #: What it was made of (acts `submit` and `collect`).
    batches: tuple[Batch, ...] = ()
    #: The model that it went to, and the provider's name for it.
    model: str | None = None
    provider_id: str | None = None
    #: Dollars that its budgets were charged when it was submitted.
    reserved_usd: float | None = None
    #: How many requests it has.
    requests: int = 0
    #: How often it was to be submitted before: somebody may have done it and died before saying so.
    tries: int = 0
    created_at: datetime

    @property
    def label(self) -> str:
        """The line that Flower shows."""
        return f"job={self.job} tier={self.tier.name} provider_batch={self.id} {self.act.value}"


class ProviderBatchState(StrEnum):
    """Where a provider batch stands."""

    SUBMITTING = "submitting"
    #: The provider has it.
    SUBMITTED = "submitted"
    #: The provider is through with it; its answers are to be fetched.
    ENDED = "ended"
    #: Its answers are kept, and its batches go on.
    COLLECTED = "collected"
    #: It could not be submitted: its batches wait for the next one.
    REFUSED = "refused"
    #: Its job ended before it did.
    DROPPED = "dropped"

    @property
    def before(self) -> frozenset["ProviderBatchState"]:
        """The states that it may be entered from."""
        return _BEFORE[self]


_OPEN = frozenset({ProviderBatchState.SUBMITTING, ProviderBatchState.SUBMITTED, ProviderBatchState.ENDED})
_BEFORE = {
    ProviderBatchState.SUBMITTING: frozenset(),
    ProviderBatchState.SUBMITTED: frozenset({ProviderBatchState.SUBMITTING, ProviderBatchState.SUBMITTED}),
    # Answers that Redis lost before they were judged are fetched once more.
    ProviderBatchState.ENDED: frozenset({ProviderBatchState.SUBMITTED, ProviderBatchState.COLLECTED}),
    ProviderBatchState.COLLECTED: _OPEN,
    ProviderBatchState.REFUSED: frozenset({ProviderBatchState.SUBMITTING}),
    ProviderBatchState.DROPPED: _OPEN,
}
#: States that somebody has to look after.
OPEN_STATES = tuple(state.value for state in ProviderBatchState if state in _OPEN)


class ProviderBatchNews(Frozen):
    """What came of an act."""

    id: str
    job: str
    state: ProviderBatchState
    model: str | None = None
    provider_id: str | None = None
    requests: int = Field(default=0, ge=0)
    answered: int = Field(default=0, ge=0)
    reserved_usd: float | None = None
    #: The provider's own words where something went wrong.
    reason: str | None = None
    #: Requests that would fit into one, where these were too many or too large.
    fits: int | None = Field(default=None, gt=0)
    #: Why it could not be submitted now.
    defer: Defer | None = None
