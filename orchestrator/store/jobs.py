"""Jobs: written once, moved by compare-and-set."""

import logging
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, DateTime, RowMapping, bindparam, cast, func, select, update

from firstline.orchestrator.store.database import log_after
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, ShardRow
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import JOB_MOVES, WORKING, ItemState, JobState, JobStatus
from firstline.schemas.states import ShardState, refuse_move

_log = logging.getLogger(__name__)

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_shard = ShardRow.__table__  # type: ignore[attr-defined]


def now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def clock(tx: Connection) -> datetime:
    """Return the time of the database, the clock that all machines share; it may differ from ours."""
    if tx.dialect.name == "sqlite":
        return now()
    return tx.execute(select(cast(func.clock_timestamp(), DateTime(timezone=True)))).scalar_one()


def hold(tx: Connection, *, job: str, alone: bool = False) -> None:
    """Keep those who steer a job (`alone`) apart from those who judge its work, until the transaction ends.

    Judges may go on side by side. On SQLite a writer is alone anyway.
    """
    if tx.dialect.name != "sqlite":
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        tx.execute(select(lock(func.hashtextextended(job, 0))))


def insert(tx: Connection, *, row: JobRow) -> None:
    """Write a new job."""
    tx.execute(_job.insert().values(**row.model_dump()))


#: Statements of the way of every job are made once: making one takes longer than most take to run.
_GET = select(_job).where(_job.c.id == bindparam("job"))
_GET_LOCKED = _GET.with_for_update()


def get(tx: Connection, *, job: str, lock: bool = False) -> RowMapping:
    """Return the job's row; UserError when there is none."""
    row = tx.execute(_GET_LOCKED if lock else _GET, {"job": job}).mappings().first()
    if row is None:
        raise UserError(f"there is no job '{job}'; `firstline jobs` lists them")
    return row


def latest(tx: Connection, *, limit: int, purpose: str | None = "run") -> list[str]:
    """Return ids of the newest jobs, newest first."""
    query = select(_job.c.id).order_by(_job.c.created_at.desc()).limit(limit)
    return list(tx.scalars(query if purpose is None else query.where(_job.c.purpose == purpose)))


def with_key(tx: Connection, *, idempotency_key: str) -> str | None:
    """Return the job that was submitted under this key."""
    found: str | None = tx.scalar(select(_job.c.id).where(_job.c.idempotency_key == idempotency_key))
    return found


def request_digest(tx: Connection, *, job: str) -> str | None:
    """Return the digest of the request that a job came with; None where its producer gave none."""
    found: str | None = tx.scalar(select(_job.c.request_digest).where(_job.c.id == job))
    return found


def in_state(tx: Connection, *, states: Collection[JobState]) -> list[RowMapping]:
    """Return id and segment of the jobs in these states, oldest first."""
    query = (
        select(_job.c.id, _job.c.segment)
        .where(_job.c.state.in_([state.value for state in states]))
        .order_by(_job.c.created_at)
    )
    return list(tx.execute(query).mappings())


def at_work(tx: Connection, *, tenant: str) -> tuple[int, int]:
    """Return how many jobs of a tenant have not ended, and how many items these have."""
    ended = [state.value for state in JobState if state.ended]
    items = func.coalesce(func.sum(_job.c["items"]), 0)
    row = tx.execute(select(func.count(), items).where(_job.c.tenant == tenant, _job.c.state.not_in(ended))).one()
    return int(row[0]), int(row[1])


def overdue(tx: Connection) -> list[str]:
    """Return the jobs that have not ended by their deadline."""
    ended = [state.value for state in JobState if state.ended]
    query = select(_job.c.id).where(_job.c.deadline <= clock(tx), _job.c.state.not_in(ended))
    return list(tx.scalars(query))


def abandoned(tx: Connection, *, silent_s: float) -> list[str]:
    """Return the jobs whose items are being handed in, and whose producer has been silent for so long."""
    heard_at = func.coalesce(_job.c.heard_at, _job.c.created_at)
    query = select(_job.c.id).where(
        _job.c.state == JobState.RECEIVING.value, heard_at < clock(tx) - timedelta(seconds=silent_s)
    )
    return list(tx.scalars(query))


_CLAIMANTS = select(_job.c.id, _job.c.tenant, _job.c.priority).where(
    _job.c.state.in_(WORKING),
    select(_shard.c.n)
    .where(
        _shard.c.job == _job.c.id,
        _shard.c.segment == _job.c.segment,
        _shard.c.state.in_((ShardState.WAITING, ShardState.RELEASED, ShardState.CUT)),
    )
    .exists(),
)


def claimants(tx: Connection) -> list[RowMapping]:
    """Return id, tenant and priority of the working jobs that have something to send or under way."""
    return list(tx.execute(_CLAIMANTS).mappings())


def move(
    tx: Connection, *, job: str, to: JobState, among: Collection[JobState], reason: str | None = None, **also: Any
) -> bool:
    """Set the state if it is one `among` these; return whether it was (compare-and-set)."""
    refuse_move(JOB_MOVES, to=to, among=among)
    stamps: dict[str, Any] = {"held_by": None, "held_cap_usd": None, **also}
    if to in WORKING:
        stamps.setdefault("started_at", func.coalesce(_job.c.started_at, now()))
    if to is JobState.PAUSED or (to in WORKING and JobState.SUBMITTED not in among):
        stamps["breaks"] = _breaks(tx, job, to)
    if to.ended:
        stamps.setdefault("ended_at", now())
    query = (
        update(_job)
        .where(_job.c.id == job, _job.c.state.in_([state.value for state in among]))
        .values(state=to.value, reason=reason, **stamps)
    )
    moved = tx.execute(query).rowcount == 1
    if moved:
        _tell(tx, job, to, reason, budget=also.get("held_by"))
    return moved


def _breaks(tx: Connection, job: str, to: JobState) -> list[list[str]]:
    """Return when a job lay between two runs, with the break that begins or ends now."""
    breaks, ended_at = tx.execute(select(_job.c.breaks, _job.c.ended_at).where(_job.c.id == job)).one()
    began = [one for one in breaks if len(one) == 1] or ([[ended_at.isoformat()]] if ended_at else [])
    over = [one for one in breaks if len(one) == 2]
    at = now().isoformat()
    if to is JobState.PAUSED:
        return [*over, *(began or [[at]])]
    return [*over, *([*one, at] for one in began)]


def _tell(tx: Connection, job: str, to: JobState, reason: str | None, *, budget: str | None) -> None:
    """Log `job.STATE` once the transaction is through; a failure's reason may quote an answer, so it is left out."""
    extra: dict[str, object] = {"job": job}
    if to.ended:
        at_end = status(tx, job=job)
        counts = ("items", "settled", "failed", "escalated", "attempts", "cost_usd")
        extra |= {"calls" if name == "attempts" else name: getattr(at_end, name) for name in counts}
    if to in (JobState.PAUSED, JobState.CANCELLED) and reason is not None:
        extra["reason"] = reason
    level = logging.WARNING if to is JobState.FAILED else logging.INFO
    log_after(tx, _log, level, f"job.{to.value}", extra)
    if budget is not None:
        log_after(tx, _log, logging.WARNING, "budget.reached", {"job": job, "budget": budget, "reason": reason})


def change(tx: Connection, *, job: str, **values: Json | datetime) -> None:
    """Set columns that are not the state."""
    tx.execute(update(_job).where(_job.c.id == job).values(**values))


def set_plan(tx: Connection, *, job: str, plan: JsonObject) -> None:
    """Write a plan that has changed."""
    tx.execute(update(_job).where(_job.c.id == job).values(plan=plan, plan_version=_job.c.plan_version + 1))


_ADVANCE = (
    update(_job)
    .where(_job.c.id == bindparam("of_job"), _job.c.segment == bindparam("stood_in"), _job.c.state.in_(WORKING))
    .values(segment=_job.c.segment + 1)
)


def advance(tx: Connection, *, job: str, segment: int) -> bool:
    """Move the job from `segment` to the next one; return whether it stood there (compare-and-set)."""
    return tx.execute(_ADVANCE, {"of_job": job, "stood_in": segment}).rowcount == 1


def spent(tx: Connection, *, job: str) -> float:
    """Return the dollars of the job's attempts whose cost is known."""
    return float(tx.scalar(select(func.sum(_attempt.c.cost_usd)).where(_attempt.c.job == job)) or 0.0)


def status(tx: Connection, *, job: str) -> JobStatus:
    """Return the job at this moment, counted from its items."""
    row = get(tx, job=job)
    cells = tx.execute(
        select(
            _item.c.state,
            _item.c.tier,
            _item.c.climbed,
            func.count(),
            func.sum(_item.c.attempts),
            func.sum(_item.c.cost_usd),
            func.sum(_item.c.unpriced),
        )
        .where(_item.c.job == job, _item.c.n >= 0)
        .group_by(_item.c.state, _item.c.tier, _item.c.climbed)
    ).all()
    whole = tx.execute(
        select(_item.c.attempts, _item.c.cost_usd, _item.c.unpriced).where(_item.c.job == job, _item.c.n < 0)
    ).all()
    by_state: dict[str, int] = {}
    by_tier: dict[str, int] = {}
    escalated = 0
    for state, tier, climbed, count, *_ in cells:
        by_state[state] = by_state.get(state, 0) + count
        if state == ItemState.SETTLED.value:
            escalated += count if climbed else 0
            if tier is not None:
                by_tier[tier] = by_tier.get(tier, 0) + count
    return JobStatus(
        job=job,
        name=row["name"],
        state=JobState(row["state"]),
        reason=row["reason"],
        items=row["items"],
        settled=by_state.get(ItemState.SETTLED.value, 0),
        failed=by_state.get(ItemState.FAILED.value, 0),
        review=by_state.get(ItemState.REVIEW.value, 0),
        cancelled=by_state.get(ItemState.CANCELLED.value, 0),
        escalated=escalated,
        by_tier=by_tier,
        attempts=int(sum(cell[4] or 0 for cell in cells) + sum(line[0] for line in whole)),
        cost_usd=float(sum(cell[5] or 0.0 for cell in cells) + sum(line[1] for line in whole)),
        unpriced=int(sum(cell[6] or 0 for cell in cells) + sum(line[2] for line in whole)),
        budget_usd=row["budget_usd"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


_LIGHT = select(
    _job.c.name,
    _job.c.state,
    _job.c.reason,
    _job.c.segment,
    _job.c["items"],
    _job.c.budget_usd,
    _job.c.tenant,
    _job.c.plan_version,
    _job.c.deadline,
    _job.c.shard_items,
).where(_job.c.id == bindparam("job"))


def light(tx: Connection, *, job: str) -> RowMapping:
    """Return the job's small columns; UserError when there is none."""
    row = tx.execute(_LIGHT, {"job": job}).mappings().first()
    if row is None:
        raise UserError(f"there is no job '{job}'; `firstline jobs` lists them")
    return row


_SAY = (
    update(_job)
    .where(
        _job.c.id == bindparam("of_job"),
        _job.c.state.in_((*WORKING, JobState.SUBMITTED)),
        _job.c.reason.is_distinct_from(bindparam("said", type_=_job.c.reason.type)),
    )
    .values(reason=bindparam("said", type_=_job.c.reason.type))
)


def say(tx: Connection, *, job: str, reason: str | None) -> None:
    """Set what the reason of a job that is submitted or running says, if that is news."""
    tx.execute(_SAY, {"of_job": job, "said": reason})
