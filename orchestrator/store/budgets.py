"""What tenants may spend, and what they have spent."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from firstline.orchestrator.store import families
from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tables import AttemptRow, BudgetRow, ItemRow, JobRow
from firstline.schemas.job import JobState

_budget = BudgetRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def of(tx: Connection, *, tenants: Collection[str]) -> list[RowMapping]:
    """Return the budgets of these tenants."""
    return list(tx.execute(select(_budget).where(_budget.c.tenant.in_(tenants))).mappings())


def every(tx: Connection) -> list[RowMapping]:
    """Return all budgets by tenant."""
    return list(tx.execute(select(_budget).order_by(_budget.c.tenant)).mappings())


def put(tx: Connection, *, tenant: str, **caps_usd: float) -> None:
    """Set caps of a tenant (`per_day_usd`, `total_usd`); those that are not named stay as they are."""
    values = {**caps_usd, "changed_at": clock(tx)}
    insert = sqlite.insert(_budget) if tx.dialect.name == "sqlite" else postgresql.insert(_budget)
    query = insert.values(tenant=tenant, **values)
    tx.execute(query.on_conflict_do_update(index_elements=["tenant"], set_=values))


def remove(tx: Connection, *, tenant: str) -> bool:
    """Lift a tenant's caps; return whether there were any."""
    return tx.execute(delete(_budget).where(_budget.c.tenant == tenant)).rowcount == 1


def spent_since(tx: Connection, *, tenant: str | None, since: datetime) -> float:
    """Return the dollars of the calls that a tenant (None: any) has made since then, as far as they are known."""
    query = select(func.sum(_attempt.c.cost_usd)).where(_attempt.c.started_at >= since)
    if tenant is not None:
        query = query.join(_job, _job.c.id == _attempt.c.job).where(_job.c.tenant == tenant)
    return float(tx.scalar(query) or 0.0) + families.passed_on_usd(tx, tenant=tenant, since=since)


def spent(tx: Connection, *, tenant: str | None) -> float:
    """Return the dollars that a tenant (None: any) has ever spent, as far as they are known."""
    query = select(func.sum(_item.c.cost_usd))
    if tenant is not None:
        query = query.join(_job, _job.c.id == _item.c.job).where(_job.c.tenant == tenant)
    return float(tx.scalar(query) or 0.0) + families.passed_on_usd(tx, tenant=tenant)


def held(tx: Connection) -> list[RowMapping]:
    """Return the jobs that a budget has paused: id, the budget's key and its cap at that time."""
    query = select(_job.c.id, _job.c.held_by, _job.c.held_cap_usd)
    query = query.where(_job.c.state == JobState.PAUSED.value, _job.c.held_by.is_not(None))
    return list(tx.execute(query).mappings())
