"""Budgets of a job, a tenant and a day: which ones a job's calls must fit in, and what was spent of each."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy import Connection, RowMapping

from firstline.config.settings import get_settings
from firstline.config.shared_state.budget_counters import raise_cap, seed
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.store import budgets, jobs
from firstline.schemas.base import Frozen
from firstline.schemas.batch import BudgetCap
from firstline.schemas.verdict import Defer

#: Stands for all tenants together.
EVERYONE = "*"


@dataclass(frozen=True)
class Cap:
    """One budget as it stands today."""

    key: str
    cap_usd: float
    #: What people call it.
    words: str
    #: How it is raised.
    mend: str
    #: Returns the dollars spent of it, from SQL.
    spent: Callable[[Connection], float]

    @property
    def as_message(self) -> BudgetCap:
        """What travels with a batch."""
        return BudgetCap(key=self.key, cap_usd=self.cap_usd)


class Allowance(Frozen):
    """What a tenant may spend and has spent; days are those of UTC."""

    tenant: str
    per_day_usd: float | None = None
    spent_today_usd: float = 0.0
    total_usd: float | None = None
    spent_usd: float = 0.0

    @property
    def is_bound(self) -> bool:
        """Whether there is a cap at all."""
        return self.per_day_usd is not None or self.total_usd is not None


def caps(tx: Connection, job: Job) -> tuple[Cap, ...]:
    """Return the budgets that every call of a job must fit in: its own, its tenant's, everyone's."""
    own = (_of_job(job),) if job.budget_usd is not None else ()
    return (*own, *tenant_caps(tx, job.tenant))


def tenant_caps(tx: Connection, tenant: str) -> tuple[Cap, ...]:
    """Return the budgets that every call for a tenant must fit in: its own, and everyone's."""
    known = [_allowance(row) for row in budgets.of(tx, tenants=(tenant, EVERYONE))]
    if tenant not in {one.tenant for one in known}:
        known.append(Allowance(tenant=tenant))
    allowed = [one for one in map(_with_default, known) if one.is_bound]
    day = _day(tx) if allowed else None
    return tuple(cap for one in allowed if day is not None for cap in _of_tenant(one, day))


def budget_caps(tx: Connection, job: Job) -> tuple[BudgetCap, ...]:
    """Return the same as what travels with a batch."""
    return tuple(cap.as_message for cap in caps(tx, job))


def tell(engine: Context, job: Job) -> None:
    """Tell Redis what a job's budgets allow and what was spent of them."""
    with engine.db.reading() as tx:
        known = [(cap.as_message, cap.spent(tx)) for cap in caps(tx, job)]
    for cap, spent_usd in known:
        seed(engine.redis, engine.settings.keys, cap, spent_usd=spent_usd)


def told(tx: Connection, job: Job, over: Defer) -> str:
    """Return for people why a job is paused, which budget it was, and how to go on."""
    key = over.budget or f"job.{job.id}"
    cap = next((cap for cap in caps(tx, job) if cap.key == key), None)
    if cap is None:
        return over.reason
    return f"{cap.words} is used up: {over.reason.partition(': ')[2] or over.reason}; {cap.mend}"


def has_moved(tx: Connection, job: Job, *, key: str, cap_usd: float) -> bool:
    """Say whether a budget that was in the way has been raised or lifted since, or was that of a day gone by."""
    return next((cap.cap_usd for cap in caps(tx, job) if cap.key == key), math.inf) > cap_usd


def allow(engine: Context, tenant: str, *, per_day_usd: float | None = None, total_usd: float | None = None) -> None:
    """Set what a tenant may spend; what is None stays. Calls that are under way when it is set are not counted yet."""
    given = {name: usd for name, usd in (("per_day_usd", per_day_usd), ("total_usd", total_usd)) if usd is not None}
    with engine.db.writing() as tx:
        budgets.put(tx, tenant=tenant, **given)
        (row,) = budgets.of(tx, tenants=[tenant])
        day = _day(tx)
    _move_caps(engine, {cap.key: cap.cap_usd for cap in _of_tenant(_with_default(_allowance(row)), day)})


def lift(engine: Context, tenant: str) -> bool:
    """Let a tenant spend without a cap of its own; return whether it had one."""
    with engine.db.writing() as tx:
        rows, day = budgets.of(tx, tenants=[tenant]), _day(tx)
        lifted = budgets.remove(tx, tenant=tenant)
    gone = {cap.key: math.inf for row in rows for cap in _of_tenant(_allowance(row), day)}
    left = {cap.key: cap.cap_usd for cap in _of_tenant(_with_default(Allowance(tenant=tenant)), day)}
    _move_caps(engine, gone | left)
    return lifted


def allowances(engine: Context) -> list[Allowance]:
    """Return every tenant's budget as it stands."""
    with engine.db.reading() as tx:
        day = _day(tx)
        return [
            _with_default(_allowance(row)).evolve(
                spent_today_usd=budgets.spent_since(tx, tenant=_one(row["tenant"]), since=day),
                spent_usd=budgets.spent(tx, tenant=_one(row["tenant"])),
            )
            for row in budgets.every(tx)
        ]


def _of_job(job: Job) -> Cap:
    return Cap(
        key=f"job.{job.id}",
        cap_usd=float(job.budget_usd or 0.0),
        words="the job's budget",
        mend=f"raise it with `firstline budget {job.id} --raise USD`",
        spent=lambda tx: jobs.spent(tx, job=job.id),
    )


def _allowance(row: RowMapping) -> Allowance:
    return Allowance(tenant=row["tenant"], per_day_usd=row["per_day_usd"], total_usd=row["total_usd"])


def _with_default(one: Allowance) -> Allowance:
    """Return a tenant's allowance with the cap of a day that every tenant has which has none of its own."""
    default = get_settings().tenant_usd_per_day
    return one.evolve(per_day_usd=default) if one.per_day_usd is None and one.tenant != EVERYONE else one


def _of_tenant(one: Allowance, day: datetime) -> Iterator[Cap]:
    tenant = one.tenant
    who = "all tenants together" if tenant == EVERYONE else f"tenant '{tenant}'"
    flag = "--everyone" if tenant == EVERYONE else f"--tenant {tenant}"
    if one.per_day_usd is not None:
        yield Cap(
            key=f"day.{day:%Y-%m-%d}.{tenant}",
            cap_usd=one.per_day_usd,
            words=f"today's budget of {who}",
            mend=f"it goes on by itself after midnight UTC, or raise it with `firstline budget {flag} --per-day USD`",
            spent=lambda tx: budgets.spent_since(tx, tenant=_one(tenant), since=day),
        )
    if one.total_usd is not None:
        yield Cap(
            key=f"total.{tenant}",
            cap_usd=one.total_usd,
            words=f"the budget of {who}",
            mend=f"raise it with `firstline budget {flag} --total USD`",
            spent=lambda tx: budgets.spent(tx, tenant=_one(tenant)),
        )


def _one(tenant: str) -> str | None:
    return None if tenant == EVERYONE else tenant


def _day(tx: Connection) -> datetime:
    """Return the beginning of today in UTC, by the clock that all machines share."""
    return jobs.clock(tx).replace(hour=0, minute=0, second=0, microsecond=0)


def _move_caps(engine: Context, caps_usd: dict[str, float]) -> None:
    """Tell Redis of caps that have changed; where it cannot be reached or knows none, it is told when it is asked."""
    if engine.settings.redis_url is None:
        return
    try:
        for key, cap_usd in caps_usd.items():
            raise_cap(engine.redis, engine.settings.keys, key, cap_usd)
    except RedisError:
        return
