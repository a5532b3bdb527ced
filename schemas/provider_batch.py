"""What travels between orchestrators and workers about a bulk: batches that go through a provider's Batch API."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from firstline.schemas.base import Frozen
from firstline.schemas.batch import MESSAGE_VERSION, Batch
from firstline.schemas.tier import Tier
from firstline.schemas.verdict import Defer


class BulkAct(StrEnum):
    """What a worker is to do with a bulk."""

    SUBMIT = "submit"
    #: Ask the provider how far it is.
    LOOK = "look"
    #: Fetch what came back and keep it as paid answers.
    COLLECT = "collect"
    CANCEL = "cancel"


class BulkOrder(Frozen):
    """One act on one bulk; a worker may get it twice."""

    v: int = MESSAGE_VERSION
    id: str
    act: BulkAct
    job: str
    tier: Tier
    #: What it was made of (acts `submit` and `collect`).
    batches: tuple[Batch, ...] = ()
    #: The model that it went to, and the provider's name for it.
    model: str | None = None
    provider_id: str | None = None
    #: Dollars that its budgets were charged when it was submitted.
    reserved_usd: float | None = None
    created_at: datetime

    @property
    def label(self) -> str:
        """The line that Flower shows."""
        return f"job={self.job} tier={self.tier.name} bulk={self.id} {self.act.value}"


class BulkState(StrEnum):
    """Where a bulk stands."""

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


class BulkNews(Frozen):
    """What came of an act."""

    id: str
    job: str
    state: BulkState
    model: str | None = None
    provider_id: str | None = None
    requests: int = Field(default=0, ge=0)
    answered: int = Field(default=0, ge=0)
    reserved_usd: float | None = None
    reason: str | None = None
    #: Why it could not be submitted now.
    defer: Defer | None = None
