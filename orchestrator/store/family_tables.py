"""The tables of families: what they are, and requests of theirs that were answered by the top model."""

from datetime import datetime

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field, SQLModel

from firstline.orchestrator.store.types import UtcDateTime
from firstline.schemas.base import Json


class FamilyRow(SQLModel, table=True):
    """Requests of one prompt and one form of answer."""

    __tablename__ = "family"
    __table_args__ = (Index("family_by_shape", "shape"),)

    #: 12 hex digits over prompt and shape.
    id: str = Field(primary_key=True)
    tenant: str
    #: The system prompt, gaps for what varies.
    prompt: str = Field(sa_type=Text)
    #: A digest of everything else that it is told by.
    shape: str
    model: str
    profile: str
    response_format: dict[str, Json] | None = Field(default=None, sa_type=JSON)
    params: dict[str, Json] = Field(sa_type=JSON)
    #: shadow, served, straight
    state: str
    why: str = Field(default="", sa_type=Text)
    #: Why none of its answers can be compared, by what its requests are; None: they may be.
    straight: str | None = Field(default=None, sa_type=Text)
    #: auto, pinned, excluded
    choice: str = "auto"
    #: The comparator that its owner named.
    compare: str | None = None
    max_loss: float
    #: The family that it has become a part of.
    merged_into: str | None = None
    #: Requests, those that the top model answered by itself and what they cost, those that its ladder answered.
    requests: int = 0
    top_calls: int = 0
    top_usd: float = 0.0
    served: int = 0
    served_usd: float = 0.0
    #: What asking cheaper tiers off the critical path has cost.
    shadow_usd: float = 0.0
    #: Compared answers when thresholds were last sought.
    looked: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class PassedOnRow(SQLModel, table=True):
    """What a tenant's requests to top models have cost on one day of UTC, beside its jobs."""

    __tablename__ = "passed_on"

    tenant: str = Field(primary_key=True)
    #: As 2026-11-30.
    day: str = Field(primary_key=True)
    calls: int
    usd: float


class FamilySampleRow(SQLModel, table=True):
    """A request that the top model answered, and what cheaper tiers say to it."""

    __tablename__ = "family_sample"
    __table_args__ = (Index("family_sample_by_state", "state", "family"),)

    id: int | None = Field(default=None, primary_key=True)
    family: str
    #: waiting, asked, done, void
    state: str
    #: None once it has been compared.
    messages: list[Json] | None = Field(default=None, sa_type=JSON)
    answer: str = Field(sa_type=Text)
    #: Tier -> the job that asks it.
    jobs: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    #: Model -> what it said: value, confidence, signal, dollars.
    answers: dict[str, Json] = Field(default_factory=dict, sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)
