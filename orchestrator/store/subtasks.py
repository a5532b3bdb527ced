"""Subtasks in SQL: where each step of each item stands."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, and_, or_, select, update

from firstline.orchestrator.store.batches import OUT
from firstline.orchestrator.store.items import insert_for, these, told, types_of
from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.many import Many, StatementRows
from firstline.orchestrator.store.tables import BatchRow, JobRow, SubtaskRow
from firstline.schemas.job import WORKING
from firstline.schemas.states import ENDED_SUBTASKS, SubtaskState

_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]


_SUBTASKS = select(_subtask).where(these(_subtask.c.job, _subtask.c.item)).order_by(_subtask.c.item, _subtask.c.step)


def of_items(tx: Connection, *, job: str, numbers: Collection[int]) -> dict[int, dict[str, RowMapping]]:
    """Return the subtasks of these items: item -> step -> row."""
    found: dict[int, dict[str, RowMapping]] = {}
    for row in tx.execute(_SUBTASKS, told(job, numbers)).mappings():
        found.setdefault(row["item"], {})[row["step"]] = row
    return found


#: Columns of a subtask that say where it stands, in the order of `Sub`; progress is `schemas.batch.SubtaskProgress`.
STANDING = (
    "step",
    "tier",
    "state",
    "n",
    "used",
    "faults",
    "referrals",
    "value",
    "kept_tier",
    "feedback",
    "effort",
    "instruction",
    "reason",
    "batch",
)


_STANDINGS = (
    select(_subtask.c.item, *(_subtask.c[name] for name in STANDING))
    .where(these(_subtask.c.job, _subtask.c.item))
    .order_by(_subtask.c.item, _subtask.c.step)
)


def standings(tx: Connection, *, job: str, numbers: Collection[int]) -> list[Row[Any]]:
    """Return an item's number and where its subtask stands, for every subtask of these items."""
    return list(tx.execute(_STANDINGS, told(job, numbers)).all())


_NAMES = tuple(_subtask.c.keys())


def _over_open_ones(given: StatementRows, dialect: str) -> Any:
    insert = insert_for(dialect, _subtask)
    keys = ("job", "item", "step")
    changes = {name: insert.excluded[name] for name in _NAMES if name not in keys}
    return given.into(insert).on_conflict_do_update(
        index_elements=keys, set_=changes, where=and_(*(_subtask.c.state != ended for ended in ENDED_SUBTASKS))
    )


_SAVE_SUBTASKS = Many(_over_open_ones, types_of(_subtask, _NAMES))


def save(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write subtasks with all their columns, over what is there unless that has ended."""
    _SAVE_SUBTASKS.run(tx, rows)


def ended(tx: Connection, *, job: str, numbers: Collection[int]) -> set[tuple[int, str]]:
    """Return (item, step) of the subtasks of these items that have ended."""
    query = select(_subtask.c.item, _subtask.c.step).where(
        these(_subtask.c.job, _subtask.c.item), _subtask.c.state.in_(ENDED_SUBTASKS)
    )
    return {(row[0], row[1]) for row in tx.execute(query, told(job, numbers))}


def due(tx: Connection, *, limit: int, but_for: Collection[str] = ()) -> list[Row[str, int, str, str]]:
    """Return (job, item, step, tier) of deferred subtasks whose time has come, but for those of some jobs."""
    query = (
        select(_subtask.c.job, _subtask.c.item, _subtask.c.step, _subtask.c.tier)
        .join(_job, _job.c.id == _subtask.c.job)
        .where(_subtask.c.state == SubtaskState.DEFERRED, _subtask.c.due_at <= clock(tx), _job.c.state.in_(WORKING))
        .where(_subtask.c.job.not_in(but_for))
        .order_by(_subtask.c.due_at)
        .limit(limit)
    )
    return list(tx.execute(query).all())


def wake(tx: Connection, *, job: str, numbers: Collection[int]) -> None:
    """Open the deferred subtasks of these items whose time has come."""
    query = update(_subtask).where(
        these(_subtask.c.job, _subtask.c.item),
        _subtask.c.state == SubtaskState.DEFERRED,
        _subtask.c.due_at <= clock(tx),
    )
    tx.execute(query.values(state=SubtaskState.OPEN, due_at=None, batch=None), told(job, numbers))


def holds(tx: Connection, *, job: str, batch: str) -> bool:
    """Return whether a batch holds subtasks that are open."""
    query = select(_subtask.c.item).where(
        _subtask.c.job == job, _subtask.c.batch == batch, _subtask.c.state == SubtaskState.OPEN
    )
    return tx.scalar(query.limit(1)) is not None


def let_go(tx: Connection, *, job: str, batch: str) -> None:
    """Take its subtasks from a batch that will not be judged."""
    query = update(_subtask).where(
        _subtask.c.job == job, _subtask.c.batch == batch, _subtask.c.state == SubtaskState.OPEN
    )
    tx.execute(query.values(batch=None))


def let_go_unheld(tx: Connection, *, job: str) -> None:
    """Open the subtasks of a job that no message carries, so that they can be sent again."""
    live = select(_batch.c.id).where(_batch.c.job == job, _batch.c.state.in_(OUT))
    adrift = and_(_subtask.c.state == SubtaskState.OPEN, _subtask.c.batch.is_not(None), _subtask.c.batch.not_in(live))
    query = update(_subtask).where(_subtask.c.job == job, or_(_subtask.c.state == SubtaskState.PAUSED, adrift))
    tx.execute(query.values(state=SubtaskState.OPEN, batch=None, due_at=None))


def give_up(tx: Connection, *, job: str, batch: str, reason: str) -> None:
    """Fail the subtasks of a batch."""
    query = update(_subtask).where(
        _subtask.c.job == job, _subtask.c.batch == batch, _subtask.c.state == SubtaskState.OPEN
    )
    tx.execute(query.values(state=SubtaskState.FAILED, reason=reason, batch=None))
