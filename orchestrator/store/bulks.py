"""Bulks: batches that travel together through a provider's Batch API, and where each stands."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tables import BatchRow, BulkRow, JobRow, SubtaskRow
from firstline.schemas.job import WORKING
from firstline.schemas.provider_batch import BulkState

_bulk = BulkRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]

#: States that somebody has to look after.
_OPEN = (BulkState.SUBMITTING.value, BulkState.SUBMITTED.value, BulkState.ENDED.value)


def filling(tx: Connection, *, limit: int = 20_000) -> list[RowMapping]:
    """Return the batches of working jobs that wait for a bulk, oldest first."""
    query = (
        select(_batch)
        .join(_job, _job.c.id == _batch.c.job)
        .where(_batch.c.state == "filling", _job.c.state.in_(WORKING))
        .order_by(_batch.c.changed_at)
        .limit(limit)
    )
    return list(tx.execute(query).mappings())


def insert(tx: Connection, *, row: BulkRow, batches: Collection[str]) -> None:
    """Write a bulk of batches that wait for one."""
    tx.execute(_bulk.insert().values(**row.model_dump()))
    query = update(_batch).where(_batch.c.id.in_(batches), _batch.c.state == "filling")
    tx.execute(query.values(state="bulked", bulk=row.id))


def get(tx: Connection, *, bulk: str) -> RowMapping | None:
    """Return a bulk, locked where the database locks rows."""
    return tx.execute(select(_bulk).where(_bulk.c.id == bulk).with_for_update()).mappings().first()


def due(tx: Connection, *, limit: int = 50) -> list[RowMapping]:
    """Return the bulks that are to be looked after now."""
    query = select(_bulk).where(_bulk.c.state.in_(_OPEN), _bulk.c.due_at <= clock(tx)).order_by(_bulk.c.due_at)
    return list(tx.execute(query.limit(limit)).mappings())


def change(tx: Connection, *, bulk: str, among: Collection[BulkState], **values: Any) -> bool:
    """Change a bulk if its state is one `among` these; return whether it was (compare-and-set)."""
    query = update(_bulk).where(_bulk.c.id == bulk, _bulk.c.state.in_([state.value for state in among]))
    return tx.execute(query.values(**values)).rowcount == 1


def reopen(tx: Connection, *, batches: Collection[str]) -> None:
    """Let the bulks of batches whose answers were lost before they were judged be collected again.

    The provider keeps them and asks no money for it. What was reserved was set right when they were first collected.
    """
    chosen = (_batch.c.id.in_(batches), _batch.c.state == "sent", _batch.c.bulk.is_not(None))
    bulks = select(_batch.c.bulk).where(*chosen).distinct()
    told = {"state": BulkState.ENDED.value, "due_at": clock(tx), "reserved_usd": None, "ended_at": None}
    tx.execute(update(_bulk).where(_bulk.c.id.in_(bulks), _bulk.c.state == BulkState.COLLECTED.value).values(**told))
    tx.execute(update(_batch).where(*chosen).values(state="bulked"))


def batches_of(tx: Connection, *, bulk: str) -> list[RowMapping]:
    """Return the batches that are in a bulk."""
    query = select(_batch).where(_batch.c.bulk == bulk, _batch.c.state == "bulked").order_by(_batch.c.id)
    return list(tx.execute(query).mappings())


def of_job(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return a job's bulks, oldest first."""
    return list(tx.execute(select(_bulk).where(_bulk.c.job == job).order_by(_bulk.c.created_at)).mappings())


def lift(tx: Connection, *, job: str, batches: Collection[str], tier: str) -> None:
    """Move the open subtasks of these batches to another tier, where they begin afresh."""
    query = update(_subtask).where(_subtask.c.job == job, _subtask.c.batch.in_(batches), _subtask.c.state == "open")
    tx.execute(query.values(tier=tier, used=0, faults=0, effort=None, batch=None))


def row(*, bulk: str, job: str, tier: str, requests: int, at: datetime) -> BulkRow:
    """Return a new bulk."""
    return BulkRow(id=bulk, job=job, tier=tier, requests=requests, due_at=at, created_at=at)
