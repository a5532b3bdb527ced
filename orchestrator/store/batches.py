"""Shards and batches: what is released, what was sent, what was judged."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Integer, RowMapping, bindparam, delete, func, or_, select, update

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tables import BatchRow, JobRow, ShardRow
from firstline.schemas.job import WORKING
from firstline.schemas.states import BATCH_MOVES, SHARD_MOVES, BatchState, ShardState, refuse_move

_shard = ShardRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]

#: States of a batch that something will still come of.
OUT = (BatchState.FILLING, BatchState.HANDED_IN, BatchState.READY, BatchState.SENT)
#: Seconds that a row may lie in the future, by a clock that was set back, before it counts as old.
_AHEAD_S = 60


def _older(tx: Connection, column: Any, seconds: float) -> Any:
    time = clock(tx)
    return or_(column < time - timedelta(seconds=seconds), column > time + timedelta(seconds=_AHEAD_S))


def insert_shards(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write the shards of a segment."""
    if rows:
        tx.execute(_shard.insert(), rows)


def reopen(tx: Connection, *, job: str, segment: int, counts: Mapping[int, int]) -> None:
    """Let shards that are closed be released again, with so many items each that take the segment once more."""
    for n, count in counts.items():
        mine = (_shard.c.job == job, _shard.c.segment == segment, _shard.c.n == n)
        found = tx.execute(select(_shard).where(*mine, _shard.c.state == ShardState.CLOSED)).mappings().one()
        tx.execute(delete(_shard).where(*mine))
        tx.execute(_shard.insert(), [{**found, "open": count, "state": ShardState.WAITING}])


def closed(tx: Connection, *, job: str, segment: int, among: Collection[int]) -> set[int]:
    """Return which of these shards of a segment are closed."""
    query = select(_shard.c.n).where(
        _shard.c.job == job, _shard.c.segment == segment, _shard.c.n.in_(among), _shard.c.state == ShardState.CLOSED
    )
    return set(tx.scalars(query))


#: Statements of the way of every batch are made once: making one takes longer than most take to run.
_JOB: Any = bindparam("in_job")
_SEGMENT: Any = bindparam("in_segment")
_N: Any = bindparam("in_n")
_THIS_SHARD = (_shard.c.job == _JOB, _shard.c.segment == _SEGMENT, _shard.c.n == _N)
_IN_FLIGHT = (
    select(_batch.c.tier, func.sum(_batch.c["size"]))
    .where(_batch.c.job == _JOB, _batch.c.segment == _SEGMENT, _batch.c.state.in_((BatchState.READY, BatchState.SENT)))
    .group_by(_batch.c.tier)
)
_UNCUT = select(func.coalesce(func.sum(_shard.c.open), 0)).where(
    _shard.c.job == _JOB, _shard.c.segment == _SEGMENT, _shard.c.state == ShardState.RELEASED
)
_WAITING = (
    select(_shard.c.n)
    .where(_shard.c.job == _JOB, _shard.c.segment == _SEGMENT, _shard.c.state == ShardState.WAITING)
    .limit(1)
)


def in_flight(tx: Connection, *, job: str, segment: int) -> dict[str, int]:
    """Return tier -> items of a segment that are out to it; those of shards that are about to be cut under ""."""
    mine = {"in_job": job, "in_segment": segment}
    out = {tier: int(size) for tier, size in tx.execute(_IN_FLIGHT, mine)}
    return {**out, "": int(tx.scalar(_UNCUT, mine) or 0)}


def any_waiting(tx: Connection, *, job: str, segment: int) -> bool:
    """Return whether shards wait for their release."""
    return tx.scalar(_WAITING, {"in_job": job, "in_segment": segment}) is not None


_CLAIMABLE = (
    select(_shard.c.n, _shard.c.open)
    .where(_shard.c.job == _JOB, _shard.c.segment == _SEGMENT, _shard.c.state == ShardState.WAITING)
    .order_by(_shard.c.n)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)


def claim_shards(tx: Connection, *, job: str, segment: int, room: int) -> list[int]:
    """Mark waiting shards as released until they hold `room` items; return their numbers."""
    waiting = tx.execute(_CLAIMABLE, {"in_job": job, "in_segment": segment, "most": max(0, room)}).all()
    claimed: list[int] = []
    for n, count in waiting:
        if room <= 0:
            break
        if set_shard(tx, job=job, segment=segment, n=n, to=ShardState.RELEASED, among=(ShardState.WAITING,)):
            claimed.append(n)
            room -= count
    return claimed


_MOVE_SHARD = (
    update(_shard)
    .where(*_THIS_SHARD, _shard.c.state.in_(bindparam("among", expanding=True)))
    .values(state=bindparam("to"))
)
_RELEASE_SHARD = _MOVE_SHARD.values(released_at=bindparam("at", type_=_shard.c.released_at.type))


def set_shard(tx: Connection, *, job: str, segment: int, n: int, to: str, among: Collection[str]) -> bool:
    """Move a shard if its state is one `among` these; return whether it was."""
    refuse_move(SHARD_MOVES, to=to, among=among)
    told = {"in_job": job, "in_segment": segment, "in_n": n, "to": to, "among": list(among)}
    if to == ShardState.RELEASED:
        return tx.execute(_RELEASE_SHARD, {**told, "at": clock(tx)}).rowcount == 1
    return tx.execute(_MOVE_SHARD, told).rowcount == 1


_SHARD = select(_shard).where(*_THIS_SHARD)


def get_shard(tx: Connection, *, job: str, segment: int, n: int) -> RowMapping | None:
    """Return one shard."""
    return tx.execute(_SHARD, {"in_job": job, "in_segment": segment, "in_n": n}).mappings().first()


_FINISH = update(_shard).where(*_THIS_SHARD).values(open=_shard.c.open - bindparam("finished")).returning(_shard.c.open)
_CLOSE = (
    update(_shard)
    .where(*_THIS_SHARD, _shard.c.open <= 0, _shard.c.state != ShardState.CLOSED)
    .values(state=ShardState.CLOSED)
)
_UNCLOSED = select(func.count()).where(
    _shard.c.job == _JOB, _shard.c.segment == _SEGMENT, _shard.c.state != ShardState.CLOSED
)


def finish_items(tx: Connection, *, job: str, segment: int, shard: int, count: int) -> bool:
    """Take `count` items off what a shard has open; close it at none. Return whether this closed it."""
    mine = {"in_job": job, "in_segment": segment, "in_n": shard}
    if count and (tx.scalar(_FINISH, {**mine, "finished": count}) or 0) > 0:
        return False
    return tx.execute(_CLOSE, mine).rowcount == 1


def unclosed(tx: Connection, *, job: str, segment: int) -> int:
    """Return how many shards of a segment are not closed."""
    return int(tx.scalar(_UNCLOSED, {"in_job": job, "in_segment": segment}) or 0)


def reset_shards(tx: Connection, *, job: str, segment: int) -> None:
    """Let what was released and is not closed be released again."""
    tx.execute(
        update(_shard)
        .where(
            _shard.c.job == job,
            _shard.c.segment == segment,
            _shard.c.state.in_((ShardState.RELEASED, ShardState.CUT, ShardState.PASSED)),
        )
        .values(state=ShardState.WAITING)
    )


def alive(tx: Connection, *, job: str, segment: int, shard: int) -> bool:
    """Return whether batches of a shard are under way."""
    mine = (_batch.c.job == job, _batch.c.segment == segment, _batch.c.shard == shard)
    return tx.scalar(select(_batch.c.id).where(*mine, _batch.c.state.in_(OUT)).limit(1)) is not None


def silent_shards(tx: Connection, *, job: str, segment: int) -> list[int]:
    """Return released shards that no live batch belongs to: their chord will never call back."""
    alive = select(_batch.c.shard).where(_batch.c.job == job, _batch.c.segment == segment, _batch.c.state.in_(OUT))
    query = select(_shard.c.n).where(
        _shard.c.job == job,
        _shard.c.segment == segment,
        _shard.c.state.in_((ShardState.RELEASED, ShardState.CUT)),
        _older(tx, _shard.c.released_at, 2),
        _shard.c.n.not_in(alive),
    )
    return list(tx.scalars(query))


def insert(tx: Connection, *, rows: Sequence[dict[str, Any]]) -> None:
    """Write batches that were decided on; every row has the same keys."""
    if rows:
        tx.execute(_batch.insert(), rows)


_GET = select(_batch).where(_batch.c.id == bindparam("batch"))
_GET_LOCKED = _GET.with_for_update()
_THESE = select(_batch).where(_batch.c.id.in_(bindparam("batches", expanding=True)))


def get(tx: Connection, *, batch: str, lock: bool = False) -> RowMapping | None:
    """Return one batch."""
    return tx.execute(_GET_LOCKED if lock else _GET, {"batch": batch}).mappings().first()


def these(tx: Connection, *, ids: Sequence[str]) -> list[RowMapping]:
    """Return these batches, in this order; those that are not there are left out."""
    rows = {row["id"]: row for row in tx.execute(_THESE, {"batches": list(ids)}).mappings()}
    return [rows[one] for one in ids if one in rows]


def children(tx: Connection, *, parent: str) -> list[RowMapping]:
    """Return the batches that came of judging `parent`."""
    return list(tx.execute(select(_batch).where(_batch.c.parent == parent)).mappings())


_SET_STATE = (
    update(_batch)
    .where(
        _batch.c.id.in_(bindparam("batches", expanding=True)), _batch.c.state.in_(bindparam("among", expanding=True))
    )
    .values(state=bindparam("to"), changed_at=bindparam("at", type_=_batch.c.changed_at.type))
)


def set_state(tx: Connection, *, batches: Collection[str], to: str, among: Collection[str]) -> int:
    """Move batches whose state is one `among` these; return how many."""
    refuse_move(BATCH_MOVES, to=to, among=among)
    if not batches:
        return 0
    told = {"batches": list(batches), "among": list(among), "to": to, "at": clock(tx)}
    return tx.execute(_SET_STATE, told).rowcount


def live(tx: Connection, *, older_than_s: float, limit: int = 2000) -> list[RowMapping]:
    """Return batches of running jobs that are ready or sent and have not changed for so long, oldest first."""
    query = (
        select(_batch)
        .join(_job, _job.c.id == _batch.c.job)
        .where(
            _batch.c.state.in_((BatchState.READY, BatchState.SENT)),
            _job.c.state.in_(WORKING),
            _older(tx, _batch.c.changed_at, older_than_s),
        )
        .order_by(_batch.c.changed_at)
        .limit(limit)
    )
    return list(tx.execute(query).mappings())


def mark_lost(tx: Connection, *, batch: str) -> int:
    """Count a delivery that ended with its worker's death; return how many there were."""
    tx.execute(update(_batch).where(_batch.c.id == batch).values(lost=_batch.c.lost + 1, changed_at=clock(tx)))
    return int(tx.scalar(select(_batch.c.lost).where(_batch.c.id == batch)) or 0)


def drop_live(tx: Connection, *, job: str) -> None:
    """Forget what is in flight for a job: late trails are still recorded, nothing is sent again."""
    tx.execute(
        update(_batch)
        .where(_batch.c.job == job, _batch.c.state.in_(OUT))
        .values(state=BatchState.DROPPED, changed_at=clock(tx))
    )


def forget_shards(tx: Connection, *, job: str, segment: int) -> None:
    """Forget the shards of a segment and of later ones."""
    tx.execute(delete(_shard).where(_shard.c.job == job, _shard.c.segment >= segment))
