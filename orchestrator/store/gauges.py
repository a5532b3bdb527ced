"""How a whole deployment stands at this moment: aggregates over what is under way, each from an index."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import BatchRow, JobRow, ShardRow, SubtaskRow
from firstline.schemas.job import WORKING
from firstline.schemas.states import BatchState, ShardState, SubtaskState

_job = JobRow.__table__  # type: ignore[attr-defined]
_batch = BatchRow.__table__  # type: ignore[attr-defined]
_shard = ShardRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_audit = AuditRow.__table__  # type: ignore[attr-defined]

#: States of a batch that is meant for a worker now.
_SENT = (BatchState.READY, BatchState.SENT)
#: States of a subtask that waits for something other than a worker.
PARKED = (SubtaskState.DEFERRED, SubtaskState.PAUSED, SubtaskState.REFERRED, SubtaskState.REVIEW)


@dataclass(frozen=True)
class Out:
    """Subtasks that were sent to a tier for one job and have not come back."""

    job: str
    tier: str
    #: Of batches that a worker holds, and of those that wait for one.
    running: int
    queued: int
    #: Seconds that the oldest waiting batch has been on its way; None when none waits.
    oldest_s: float | None


def out(tx: Connection, *, held: Collection[str], jobs: Collection[str] | None = None) -> list[Out]:
    """Return what is out by job (of these; None: all) and tier, given the batches that live workers hold."""
    is_held = _batch.c.id.in_(list(held))
    query = (
        select(
            _batch.c.job,
            _batch.c.tier,
            func.coalesce(func.sum(_batch.c["size"]).filter(is_held), 0),
            func.coalesce(func.sum(_batch.c["size"]).filter(~is_held), 0),
            func.min(_batch.c.changed_at).filter(~is_held),
        )
        .where(_batch.c.state.in_(_SENT))
        .group_by(_batch.c.job, _batch.c.tier)
    )
    if jobs is not None:
        query = query.where(_batch.c.job.in_(list(jobs)))
    now = clock(tx)
    return [
        Out(job, tier, int(running), int(queued), None if oldest is None else max(0.0, (now - oldest).total_seconds()))
        for job, tier, running, queued, oldest in tx.execute(query)
    ]


def jobs_by_state(tx: Connection) -> dict[str, int]:
    """Return how many jobs are in each state."""
    query = select(_job.c.state, func.count()).group_by(_job.c.state)
    return {str(state): int(count) for state, count in tx.execute(query)}


def unreleased(tx: Connection) -> int:
    """Return the items of working jobs whose shard waits for room in the window of its job."""
    query = (
        select(func.coalesce(func.sum(_shard.c.open), 0))
        .join(_job, _job.c.id == _shard.c.job)
        .where(_job.c.state.in_(WORKING), _shard.c.segment == _job.c.segment, _shard.c.state == ShardState.WAITING)
    )
    return int(tx.scalar(query) or 0)


def parked(tx: Connection) -> dict[str, int]:
    """Return how many subtasks wait for a time, for money, for the orchestrator model or for a person."""
    query = select(_subtask.c.state, func.count()).where(_subtask.c.state.in_(PARKED)).group_by(_subtask.c.state)
    return dict.fromkeys(PARKED, 0) | {str(state): int(count) for state, count in tx.execute(query)}


@dataclass(frozen=True)
class ParkedCount:
    """Subtasks of one job that wait for something other than a worker."""

    #: deferred, paused, referred, review; or bulked: they are with a provider's Batch API.
    state: str
    tier: str
    count: int
    #: When the first of them comes back, where a time is known.
    due_at: datetime | None


def parked_of(tx: Connection, *, jobs: Collection[str]) -> dict[str, list[ParkedCount]]:
    """Return job -> what of it waits for a time, for money, for a person, or for a provider's Batch API."""
    keys = (_subtask.c.job, _subtask.c.state, _subtask.c.tier)
    subtasks = (
        select(*keys, func.count(), func.min(_subtask.c.due_at))
        .where(_subtask.c.job.in_(list(jobs)), _subtask.c.state.in_(PARKED))
        .group_by(*keys)
    )
    batched = (
        select(_batch.c.job, _batch.c.tier, func.sum(_batch.c["size"]))
        .where(_batch.c.job.in_(list(jobs)), _batch.c.state.in_((BatchState.FILLING, BatchState.HANDED_IN)))
        .group_by(_batch.c.job, _batch.c.tier)
    )
    found: dict[str, list[ParkedCount]] = {}
    for job, state, tier, count, due_at in tx.execute(subtasks):
        found.setdefault(job, []).append(ParkedCount(state, tier, int(count), due_at))
    for job, tier, size in tx.execute(batched):
        found.setdefault(job, []).append(ParkedCount("bulked", tier, int(size), None))
    return found


def held_by(tx: Connection, *, jobs: Collection[str]) -> dict[str, str]:
    """Return job -> the budget that paused it."""
    query = select(_job.c.id, _job.c.held_by).where(_job.c.id.in_(list(jobs)), _job.c.held_by.is_not(None))
    return {str(job): str(budget) for job, budget in tx.execute(query)}


def audits(tx: Connection) -> dict[str, int]:
    """Return audited answers by what came of it; this one reads the whole (small) table: ask it rarely."""
    query = select(_audit.c.state, _audit.c.agrees, func.count()).group_by(_audit.c.state, _audit.c.agrees)
    found = dict.fromkeys(("pending", "agrees", "lost", "void"), 0)
    for state, agrees, count in tx.execute(query):
        found[_result(state, agrees)] += int(count)
    return found


def _result(state: str, agrees: bool | None) -> str:
    if state in ("wanted", "asked"):
        return "pending"
    if state == "void":
        return "void"
    return "agrees" if agrees else "lost"
