"""Retention: jobs that ended long ago are removed with all that belongs to them."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, delete, select
from sqlmodel import SQLModel

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import (
    AttemptRow,
    BatchRow,
    DecisionRow,
    ItemRow,
    JobRow,
    ProviderBatchRow,
    ShardRow,
    SubtaskRow,
    WebhookRow,
)
from firstline.schemas.job import JobState

#: What goes with a job. Calibrations and the gold set outlive the jobs that they were made from.
_PARTS = (AttemptRow, SubtaskRow, BatchRow, ProviderBatchRow, ShardRow, AuditRow, DecisionRow, WebhookRow, ItemRow)
_job = JobRow.__table__  # type: ignore[attr-defined]


def ended_before(tx: Connection, *, age: timedelta, states: Collection[JobState]) -> list[str]:
    """Return the jobs in these states (those of them that are ends) that ended longer ago than `age`, oldest first."""
    ends = [state.value for state in states if state.ended]
    query = select(_job.c.id).where(_job.c.state.in_(ends), _job.c.ended_at < clock(tx) - age)
    return list(tx.scalars(query.order_by(_job.c.ended_at)))


def remove(tx: Connection, *, job: str) -> None:
    """Remove a job and all that belongs to it."""
    for part in _PARTS:
        table = SQLModel.metadata.tables[str(part.__tablename__)]
        tx.execute(delete(table).where(table.c.job == job))
    tx.execute(delete(_job).where(_job.c.id == job))
