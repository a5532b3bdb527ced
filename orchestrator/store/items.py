"""Items and their subtasks: written in bulk, ended by compare-and-set."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    RowMapping,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.many import Many, StatementRows
from firstline.orchestrator.store.tables import AttemptRow, BatchRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.job import ItemState
from firstline.schemas.states import ENDED_SUBTASKS, SubtaskState

_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]

#: States in which a subtask has ended.
ENDED = tuple(ENDED_SUBTASKS)


#: Statements of the way of every batch are made once: making one takes longer than most take to run.
IN_JOB: Any = bindparam("in_job")
NUMBERS: Any = bindparam("numbers", expanding=True)


def these(job: Any, number: Any) -> Any:
    """Return the condition for rows of some items of a job; `told` has its parameters.

    The bounds say nothing new, but to PostgreSQL: while it has not counted a table's rows it takes a job for a few
    of them, and reads them all to find these.
    """
    bounds = number.between(bindparam("lowest", type_=Integer), bindparam("highest", type_=Integer))
    return and_(job == IN_JOB, bounds, number.in_(NUMBERS))


def told(job: str, numbers: Collection[int]) -> dict[str, Any]:
    """Return the parameters that `these` takes."""
    bounds = {"lowest": min(numbers, default=0), "highest": max(numbers, default=0)}
    return {"in_job": job, "numbers": list(numbers), **bounds}


def insert_or_ignore(tx: Connection, table: Any) -> Any:
    """Return an INSERT for either database that leaves rows alone which are there already."""
    return insert_for(tx.dialect.name, table).on_conflict_do_nothing()


def insert_for(dialect: str, table: Any) -> Any:
    """Return an insert that knows what to do about rows that are there."""
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)


def types_of(table: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the types of a table's columns by name."""
    return {name: table.c[name].type for name in names}


#: What is known of an item when it is handed in.
_HANDED_IN = (
    "job",
    "n",
    "item_id",
    "input",
    "state",
    "reason",
    "same_as",
    "digest",
    "segment",
    "attempts",
    "cost_usd",
    "unpriced",
    "ended_at",
)
_INSERT = Many(lambda given, _: given.into(_item.insert()), types_of(_item, _HANDED_IN))


def insert(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write items in bulk, with all of `_HANDED_IN` in each row."""
    _INSERT.run(tx, rows)


_LOAD = select(_item).where(these(_item.c.job, _item.c.n)).order_by(_item.c.n)
_LOAD_LOCKED = _LOAD.with_for_update()


def load(tx: Connection, *, job: str, numbers: Collection[int], lock: bool = False) -> dict[int, RowMapping]:
    """Return items by number, locked in order against other judges where the database locks rows."""
    query = _LOAD_LOCKED if lock else _LOAD
    return {row["n"]: row for row in tx.execute(query, told(job, numbers)).mappings()}


_IN_SEGMENT = (
    select(_item.c.n, _item.c.state)
    .where(
        _item.c.job == IN_JOB,
        _item.c.n >= bindparam("lo"),
        _item.c.n < bindparam("hi"),
        _item.c.segment == bindparam("in_segment"),
        _item.c.same_as.is_(None),
    )
    .order_by(_item.c.n)
)


def pending(tx: Connection, *, job: str, segment: int, lo: int, hi: int) -> list[int]:
    """Return the numbers of the items from `lo` to `hi` (excluded) that have this segment to do."""
    rows = tx.execute(_IN_SEGMENT, {"in_job": job, "lo": lo, "hi": hi, "in_segment": segment})
    # Asked for a state, PostgreSQL would take the index of states, and read all of a job to find these.
    return [n for n, state in rows if state == ItemState.PENDING.value]


_LOCK = select(_item.c.n).where(these(_item.c.job, _item.c.n)).order_by(_item.c.n).with_for_update()


def lock(tx: Connection, *, job: str, numbers: Collection[int]) -> None:
    """Keep other judges from these items until the transaction ends; in order, so that no two wait for each other."""
    if tx.dialect.name != "sqlite":
        tx.execute(_LOCK, told(job, numbers))


_SAVE_ATTEMPTS = Many(
    lambda given, dialect: given.into(insert_for(dialect, _attempt)).on_conflict_do_nothing(),
    types_of(_attempt, _attempt.c.keys()),
)


def save_attempts(tx: Connection, *, job: str, worker: str, attempts: Iterable[Attempt]) -> None:
    """Write attempts; one that is there already stays as it is."""
    _SAVE_ATTEMPTS.run(tx, [_attempt_row(job, worker, attempt) for attempt in attempts])


def _attempt_row(job: str, worker: str, attempt: Attempt) -> dict[str, Any]:
    row = attempt.__dict__.copy()
    usage, sure = row.pop("usage"), row.pop("confidence")
    row.update(usage.__dict__)
    row["job"], row["worker"] = job, worker
    row["error"] = attempt.error.value if attempt.error else None
    row["checks"] = [check.__dict__ for check in attempt.checks]
    row["signal"], row["confidence"] = (sure.signal, sure.value) if sure else (None, None)
    row["signals"] = sure.known or None if sure else None
    return row


def _changed(given: StatementRows, _: str) -> Any:
    return (
        update(_item)
        .where(
            _item.c.job == given["in_job"],
            _item.c.n == given["in_n"],
            # An IN would be expanded at execution.
            or_(_item.c.state == ItemState.PENDING.value, _item.c.state == ItemState.REVIEW.value),
        )
        .values(
            **{name: given[name] for name in ("state", "segment", "output", "tier", "climbed", "reason", "ended_at")},
            attempts=_item.c.attempts + given["more_attempts"],
            cost_usd=_item.c.cost_usd + given["more_usd"],
            unpriced=_item.c.unpriced + given["more_unpriced"],
            started_at=func.coalesce(_item.c.started_at, given["started_at"]),
        )
    )


_CHANGE = Many(
    _changed,
    {
        **{"in_job": _item.c.job.type, "in_n": _item.c.n.type},
        **types_of(_item, ("state", "segment", "output", "tier", "climbed", "reason", "started_at", "ended_at")),
        **{"more_attempts": Integer(), "more_usd": _item.c.cost_usd.type, "more_unpriced": Integer()},
    },
)


def save(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> int:
    """Change items that have not ended; return how many were changed. Keys as in the statement above."""
    return _CHANGE.run(tx, rows)


_COST = (
    update(_item)
    .where(_item.c.job == bindparam("in_job"), _item.c.n == bindparam("in_n"))
    .values(
        attempts=_item.c.attempts + bindparam("more_attempts"),
        cost_usd=_item.c.cost_usd + bindparam("more_usd"),
        unpriced=_item.c.unpriced + bindparam("more_unpriced"),
    )
)


def add_costs(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Add what was paid for items that have ended already."""
    names = ("in_job", "in_n", "more_attempts", "more_usd", "more_unpriced")
    if rows:
        tx.execute(_COST, [{name: row[name] for name in names} for row in rows])


def cancel_pending(tx: Connection, *, job: str, reason: str) -> int:
    """End every item that has not ended as cancelled."""
    return _end_pending(tx, job=job, state=ItemState.CANCELLED, reason=reason)


def fail_pending(tx: Connection, *, job: str, reason: str) -> int:
    """End every item that has not ended as failed."""
    return _end_pending(tx, job=job, state=ItemState.FAILED, reason=reason)


def _end_pending(tx: Connection, *, job: str, state: ItemState, reason: str | None) -> int:
    query = (
        update(_item)
        .where(_item.c.job == job, _item.c.state.in_([ItemState.PENDING.value, ItemState.REVIEW.value]))
        .values(state=state.value, reason=reason, ended_at=now())
    )
    return tx.execute(query).rowcount


_SETTLE_WAITING = (
    update(_item)
    .where(_item.c.job == IN_JOB, _item.c.state == ItemState.PENDING.value, _item.c.same_as.is_(None))
    .values(state=ItemState.SETTLED.value, ended_at=bindparam("at", type_=_item.c.ended_at.type))
)


def settle_waiting(tx: Connection, *, job: str) -> int:
    """Settle the items that have passed every segment, and the whole job's own."""
    return tx.execute(_SETTLE_WAITING, {"in_job": job, "at": now()}).rowcount


def pending_by_block(tx: Connection, *, job: str, segment: int, size: int) -> list[tuple[int, int]]:
    """Return (number of a block, items of it that have this segment to do) for blocks of `size` items."""
    # Integer division is `//` in SQL too; a plain `/` would make a float of it on one database only.
    block = _item.c.n.op("/")(size)
    query = (
        select(block, func.count())
        .where(
            _item.c.job == job,
            _item.c.n >= 0,
            _item.c.segment == segment,
            _item.c.state == ItemState.PENDING.value,
            _item.c.same_as.is_(None),
        )
        .group_by(block)
        .order_by(block)
    )
    return [(int(number), int(count)) for number, count in tx.execute(query)]


def pass_barrier(tx: Connection, *, job: str, segment: int) -> None:
    """Move the items that wait at a barrier to the segment behind it."""
    query = update(_item).where(
        _item.c.job == job, _item.c.n >= 0, _item.c.segment == segment, _item.c.state == ItemState.PENDING.value
    )
    tx.execute(query.values(segment=segment + 1))


def open_whole_job(tx: Connection, *, job: str, segment: int) -> None:
    """Let the item that stands for the whole job take a segment; make it if there is none."""
    query = update(_item).where(_item.c.job == job, _item.c.n == WHOLE_JOB)
    if tx.execute(query.values(segment=segment, state=ItemState.PENDING.value)).rowcount == 0:
        row = ItemRow(job=job, n=WHOLE_JOB, item_id="(job)", input={}, segment=segment)
        tx.execute(_item.insert().values(**row.model_dump()))


_FIRST = _item.alias()
_AS_THE_FIRST = (
    update(_item)
    .where(_item.c.job == IN_JOB, _item.c.same_as.is_not(None))
    .values(
        {
            name: select(_FIRST.c[name]).where(_FIRST.c.job == IN_JOB, _FIRST.c.n == _item.c.same_as).scalar_subquery()
            for name in ("state", "output", "tier", "climbed", "reason", "segment", "started_at", "ended_at")
        }
    )
)
_SAME = select(_item.c.n).where(_item.c.job == IN_JOB, _item.c.same_as.is_not(None)).limit(1)


def end_duplicates(tx: Connection, *, job: str) -> None:
    """Give every item that is the same as another one the other's result, at no cost."""
    if tx.scalar(_SAME, {"in_job": job}) is not None:
        tx.execute(_AS_THE_FIRST, {"in_job": job})


_CALLS = select(_attempt.c.item, _attempt.c.step, _attempt.c.n, _attempt.c.started_at).where(
    these(_attempt.c.job, _attempt.c.item)
)


def calls(tx: Connection, *, job: str, numbers: Collection[int]) -> list[Row[int, str, int, datetime]]:
    """Return (item, step, attempt number, time of the call) of all attempts on these items."""
    return list(tx.execute(_CALLS, told(job, numbers)).all())


def outputs(tx: Connection, *, job: str, step: str) -> Iterator[tuple[int, str, Json]]:
    """Yield (item, item id, value) of a step that settled, in order."""
    query = (
        select(_subtask.c.item, _item.c.item_id, _subtask.c.value)
        .join(_item, and_(_item.c.job == _subtask.c.job, _item.c.n == _subtask.c.item))
        .where(_subtask.c.job == job, _subtask.c.step == step, _subtask.c.state == SubtaskState.SETTLED, _item.c.n >= 0)
        .order_by(_subtask.c.item)
    )
    for row in tx.execute(query):
        yield row[0], row[1], row[2]


def attempts(tx: Connection, *, job: str, item: int) -> list[RowMapping]:
    """Return one item's attempts in the order they were made."""
    query = select(_attempt).where(_attempt.c.job == job, _attempt.c.item == item).order_by(_attempt.c.started_at)
    return list(tx.execute(query).mappings())


def latency_s(row: RowMapping) -> float | None:
    """Return the seconds from the first call of an item (or a job) to its end, without the job's breaks between."""
    started, ended = row["started_at"], row["ended_at"]
    if not isinstance(started, datetime) or not isinstance(ended, datetime):
        return None
    breaks = ([datetime.fromisoformat(at) for at in one] for one in row["breaks"] if len(one) == 2)
    lain = sum((max(timedelta(0), min(ended, until) - max(started, since)) for since, until in breaks), timedelta(0))
    return max(0.0, (ended - started - lain).total_seconds())


def failed(tx: Connection, *, job: str, item_ids: Collection[str] | None) -> list[int]:
    """Return the numbers of failed and cancelled items, all or those with these ids.

    Not those that were refused when they were handed in. With a duplicate comes the item that it takes its result
    from, and with all of them the item that stands for the whole job.
    """
    query = select(_item.c.n, _item.c.same_as).where(
        _item.c.job == job,
        _item.c.state.in_([ItemState.FAILED.value, ItemState.CANCELLED.value]),
        _item.c.segment >= 0,
    )
    if item_ids is not None:
        query = query.where(_item.c.item_id.in_(item_ids), _item.c.n >= 0)
    rows = tx.execute(query).all()
    return sorted({row[0] for row in rows} | {row[1] for row in rows if row[1] is not None})


def reopen_failed(tx: Connection, *, job: str, numbers: Collection[int]) -> dict[int, int]:
    """Let items be tried again from where they failed; return item -> segment. Attempts and their numbers stay."""
    again = (
        _subtask.c.job == job,
        _subtask.c.item.in_(numbers),
        _subtask.c.state.not_in((SubtaskState.SETTLED, SubtaskState.SKIPPED, SubtaskState.WAITING)),
    )
    tx.execute(
        update(_subtask)
        .where(*again)
        .values(state=SubtaskState.OPEN, used=0, faults=0, batch=None, due_at=None, reason=None)
    )
    mine = (_item.c.job == job, _item.c.n.in_(numbers))
    tx.execute(update(_item).where(*mine).values(state=ItemState.PENDING.value, reason=None, ended_at=None))
    rows = tx.execute(select(_item.c.n, _item.c.segment).where(*mine, _item.c.same_as.is_(None)))
    return {row[0]: row[1] for row in rows}
