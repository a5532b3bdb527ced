"""The tables of what is known of those who judge answers."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from firstline.orchestrator.store.types import UtcDateTime


class JudgeErrorRow(SQLModel, table=True):
    """What a judge said of pairs of answers that a person had labelled; the newest of a skill and model counts."""

    __tablename__ = "judge_error"

    id: int | None = Field(default=None, primary_key=True)
    tenant: str = "default"
    skill: str
    #: Names the rubric and the fields too.
    skill_digest: str = Field(index=True)
    model: str
    #: Pairs that are the same, and those it called different; pairs that differ, and those it called the same.
    same: int
    alarms: int
    different: int
    missed: int
    at: datetime = Field(sa_type=UtcDateTime)
