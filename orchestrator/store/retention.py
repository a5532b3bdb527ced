"""Retention: jobs that ended long ago are removed with all that belongs to them, and what else grows with age.

Every table stands in exactly one of `WITH_JOB`, `BY_AGE` and `KEPT`; a test holds that against the tables there are.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select
from sqlmodel import SQLModel

from firstline.orchestrator.store.access_tables import AuditLogRow
from firstline.orchestrator.store.family_tables import FamilySampleRow
from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.quality_tables import (
    BackgroundCalibrationRow,
    JudgeErrorRow,
    OutcomeRow,
    TuningRow,
)
from firstline.orchestrator.store.tables import ItemRow, JobRow
from firstline.schemas.job import JobState

#: Items whose rows go in one transaction: on SQLite nobody else writes meanwhile.
_ITEMS_AT_ONCE = 5000
#: The newest outcomes of a skill and model stay, however old: estimates look back at so many.
OUTCOMES_KEPT = 1000
#: The audit log is kept for so long at least.
AUDIT_LOG_AGE = timedelta(days=365)
_job = JobRow.__table__  # type: ignore[attr-defined]

#: Tables whose rows go with their job, in this order -> the column that counts its items; None: few rows a job.
WITH_JOB: Mapping[str, str | None] = {
    "attempt": "item",
    "subtask": "item",
    "batch": None,
    "provider_batch": None,
    "shard": None,
    "audit": "item",
    "decision": None,
    "webhook": None,
    "student": None,
    "item": "n",
    "job": None,
}


def _outcomes(age: timedelta, now: datetime) -> ColumnElement[bool]:
    row = OutcomeRow.__table__.c  # type: ignore[attr-defined]
    place = func.row_number().over(partition_by=(row.tenant, row.skill_digest, row.model), order_by=row.id.desc())
    ranked = select(row.id, place.label("place")).subquery()
    return and_(row.id.in_(select(ranked.c.id).where(ranked.c.place > OUTCOMES_KEPT)), row.at < now - age)


def _judge_errors(age: timedelta, now: datetime) -> ColumnElement[bool]:
    row = JudgeErrorRow.__table__.c  # type: ignore[attr-defined]
    newest = select(func.max(row.id)).group_by(row.tenant, row.skill, row.skill_digest, row.model)
    return and_(row.id.not_in(newest), row.at < now - age)


#: Tables of which what is older than an age goes -> which rows these are.
BY_AGE: Mapping[str, Callable[..., ColumnElement[bool]]] = {
    "family_sample": lambda age, now: FamilySampleRow.__table__.c.at < now - age,  # type: ignore[attr-defined]
    "outcome": _outcomes,
    "judge_error": _judge_errors,
    "background_calibration": lambda age, now: (
        BackgroundCalibrationRow.__table__.c.heard_at < now - age  # type: ignore[attr-defined]
    ),
    "tuning": lambda age, now: TuningRow.__table__.c.at < now - age,  # type: ignore[attr-defined]
    "audit_log": lambda age, now: AuditLogRow.__table__.c.at < now - max(age, AUDIT_LOG_AGE),  # type: ignore[attr-defined]
}
#: Tables that are not pruned -> why they do not grow without end.
KEPT: Mapping[str, str] = {
    "budget": "one row a tenant",
    "token": "made by hand; one that was revoked says whom the audit log means",
    "session": "what has expired goes when somebody logs in",
    "family": "at most 1,000 a tenant (`MOST_FAMILIES`), and those that were merged into them",
    "passed_on": "one row a tenant and day; budgets over all time are summed over it",
    "calibration": "made by hand, or when one has drifted; what was certified is relied on",
    "gold": "made by persons, one by one; what quality is measured by",
}


def ended_before(tx: Connection, *, age: timedelta, states: Collection[JobState]) -> list[str]:
    """Return the jobs in these states (those of them that are ends) that ended longer ago than `age`, oldest first."""
    ends = [state.value for state in states if state.ended]
    query = select(_job.c.id).where(_job.c.state.in_(ends), _job.c.ended_at < clock(tx) - age)
    return list(tx.scalars(query.order_by(_job.c.ended_at)))


def remove(tx: Connection, *, job: str) -> None:
    """Remove a job and all that belongs to it, at once."""
    for name in WITH_JOB:
        table = _table(name)
        tx.execute(delete(table).where(table.c["id" if name == "job" else "job"] == job))


def slices(tx: Connection, *, job: str) -> Iterator[tuple[int, int]]:
    """Yield the bounds (from, before) of a job's items, the whole job's own among them, a transaction's worth each."""
    item = ItemRow.__table__.c  # type: ignore[attr-defined]
    lowest, highest = tx.execute(select(func.min(item.n), func.max(item.n)).where(item.job == job)).one()
    if lowest is not None:
        yield from ((at, at + _ITEMS_AT_ONCE) for at in range(lowest, highest + 1, _ITEMS_AT_ONCE))


def remove_items(tx: Connection, *, job: str, lo: int, hi: int) -> None:
    """Remove what a job's items from `lo` to `hi` (excluded) have left; the items themselves go last."""
    for name, number in WITH_JOB.items():
        if number is not None:
            table = _table(name)
            tx.execute(delete(table).where(table.c.job == job, table.c[number] >= lo, table.c[number] < hi))


def remove_aged(tx: Connection, *, table: str, age: timedelta) -> int:
    """Remove what is too old of a table that is pruned by age; return how many rows these were."""
    return int(tx.execute(delete(_table(table)).where(BY_AGE[table](age, clock(tx)))).rowcount)


def _table(name: str) -> Table:
    return SQLModel.metadata.tables[name]
