"""Provider batches: batches that travel together through a provider's Batch API, and where each stands."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tables import BatchRow, JobRow, ProviderBatchRow, SubtaskRow
from firstline.schemas.job import WORKING
from firstline.schemas.provider_batch import OPEN_STATES, ProviderBatchState
from firstline.schemas.states import BatchState, SubtaskState

_provider_batch = ProviderBatchRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]


def filling(tx: Connection, *, limit: int = 20_000) -> list[RowMapping]:
    """Return the batches of working jobs that wait for a provider batch, oldest first."""
    query = (
        select(_batch)
        .join(_job, _job.c.id == _batch.c.job)
        .where(_batch.c.state == BatchState.FILLING, _job.c.state.in_(WORKING))
        .order_by(_batch.c.changed_at)
        .limit(limit)
    )
    return list(tx.execute(query).mappings())


def insert(tx: Connection, *, row: ProviderBatchRow, batches: Collection[str]) -> None:
    """Write a provider batch of batches that wait for one."""
    tx.execute(_provider_batch.insert().values(**row.model_dump()))
    query = update(_batch).where(_batch.c.id.in_(batches), _batch.c.state == BatchState.FILLING)
    tx.execute(query.values(state=BatchState.HANDED_IN, provider_batch=row.id))


def get(tx: Connection, *, name: str) -> RowMapping | None:
    """Return a provider batch, locked where the database locks rows."""
    query = select(_provider_batch).where(_provider_batch.c.id == name).with_for_update()
    return tx.execute(query).mappings().first()


def due(tx: Connection, *, limit: int = 50) -> list[RowMapping]:
    """Return the provider batches that are to be looked after now."""
    query = select(_provider_batch).where(
        _provider_batch.c.state.in_(OPEN_STATES), _provider_batch.c.due_at <= clock(tx)
    )
    return list(tx.execute(query.order_by(_provider_batch.c.due_at).limit(limit)).mappings())


def latest(tx: Connection, *, job: str, tier: str, limit: int) -> list[RowMapping]:
    """Return the provider batches of a job and tier that are through, newest first."""
    query = select(_provider_batch).where(
        _provider_batch.c.job == job, _provider_batch.c.tier == tier, _provider_batch.c.ended_at.is_not(None)
    )
    return list(tx.execute(query.order_by(_provider_batch.c.ended_at.desc()).limit(limit)).mappings())


def fitting(tx: Connection, *, job: str, tier: str) -> int | None:
    """Return how many requests the provider was last found to take at once; None where that was never too few."""
    query = select(_provider_batch.c.fits).where(
        _provider_batch.c.job == job, _provider_batch.c.tier == tier, _provider_batch.c.fits.is_not(None)
    )
    found: int | None = tx.scalar(query.order_by(_provider_batch.c.ended_at.desc()).limit(1))
    return found


def change(tx: Connection, *, name: str, among: Collection[ProviderBatchState], **values: Any) -> bool:
    """Change a provider batch if its state is one `among` these; return whether it was (compare-and-set)."""
    states = [state.value for state in among]
    query = update(_provider_batch).where(_provider_batch.c.id == name, _provider_batch.c.state.in_(states))
    return tx.execute(query.values(**values)).rowcount == 1


def reopen(tx: Connection, *, batches: Collection[str]) -> None:
    """Let the provider batches whose answers were lost before they were judged be collected again.

    The provider keeps them and asks no money for it. What was reserved was set right when they were first collected.
    """
    chosen = (_batch.c.id.in_(batches), _batch.c.state == BatchState.SENT, _batch.c.provider_batch.is_not(None))
    theirs = select(_batch.c.provider_batch).where(*chosen).distinct()
    told = {
        "state": ProviderBatchState.ENDED.value,
        "due_at": clock(tx),
        "reserved_usd": None,
        "ended_at": None,
        "failed": False,
    }
    collected = _provider_batch.c.state == ProviderBatchState.COLLECTED.value
    tx.execute(update(_provider_batch).where(_provider_batch.c.id.in_(theirs), collected).values(**told))
    tx.execute(update(_batch).where(*chosen).values(state=BatchState.HANDED_IN))


def batches_of(tx: Connection, *, name: str) -> list[RowMapping]:
    """Return the batches that are in a provider batch."""
    query = select(_batch).where(_batch.c.provider_batch == name, _batch.c.state == BatchState.HANDED_IN)
    return list(tx.execute(query.order_by(_batch.c.id)).mappings())


def lift(tx: Connection, *, job: str, batches: Collection[str], tier: str) -> None:
    """Move the open subtasks of these batches to another tier, where they begin afresh."""
    query = update(_subtask).where(
        _subtask.c.job == job, _subtask.c.batch.in_(batches), _subtask.c.state == SubtaskState.OPEN
    )
    tx.execute(query.values(tier=tier, used=0, faults=0, effort=None, batch=None))


def row(*, name: str, job: str, tier: str, requests: int, at: datetime) -> ProviderBatchRow:
    """Return a new provider batch."""
    return ProviderBatchRow(id=name, job=job, tier=tier, requests=requests, due_at=at, created_at=at)
