"""Caps of tenants and days on both databases: told to Redis from SQL, paused on, and gone on from by themselves."""

from datetime import UTC, datetime, timedelta

import pytest

from firstline.config.settings import get_settings
from firstline.config.shared_state.budget_counters import read
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import lifecycle
from firstline.orchestrator.engine.lifecycle import pause, settle_trail
from firstline.orchestrator.money import budgets
from firstline.orchestrator.service import sweep
from firstline.orchestrator.store import jobs
from firstline.orchestrator.store.tables import JobRow
from firstline.schemas.verdict import Defer, DeferCause
from tests.integration.jobs import PRICE_USD, age, answered, begun, change, flying, money, rows, state, submitted, work

TODAY = f"day.{datetime.now(UTC):%Y-%m-%d}"


def over(budget: str, cap_usd: float) -> Defer:
    reason = f"budget '{budget}': $1.0000 spent and $0.0000 reserved of ${cap_usd:.4f}; a call of m needs about $0.1"
    return Defer(cause=DeferCause.BUDGET, wait_s=0, reason=reason, budget=budget, cap_usd=cap_usd)


def run_into(engine: Context, job: str, defer: Defer) -> None:
    for batch in flying(engine, job):
        settle_trail(engine, answered(batch, lambda item, todo: defer))


def reason(engine: Context, job: str) -> str:
    return str(rows(engine, JobRow, id=job)[0]["reason"])


def caps_of(engine: Context, job: str) -> dict[str, float]:
    with engine.db.reading() as tx:
        return {cap.key: cap.cap_usd for cap in budgets.budget_caps(tx, engine.job(tx, job))}


def test_a_job_must_fit_its_own_budget_its_tenants_and_everyones(engine: Context) -> None:
    budgets.allow(engine, "ann", per_day_usd=3, total_usd=30)
    budgets.allow(engine, "*", per_day_usd=9)
    budgets.allow(engine, "bob", per_day_usd=1)
    job = submitted(1, tenant="ann", budget_usd=2)
    assert caps_of(engine, job) == {f"job.{job}": 2, f"{TODAY}.ann": 3, "total.ann": 30, f"{TODAY}.*": 9}
    assert caps_of(engine, submitted(1)) == {f"{TODAY}.*": 9}


def test_a_tenant_without_a_cap_of_its_own_has_the_deployments(
    engine: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLINE_TENANT_USD_PER_DAY", "5")
    get_settings.cache_clear()
    budgets.allow(engine, "bob", per_day_usd=1)
    job = begun(engine, 1, tenant="ann")
    assert caps_of(engine, job) == {f"{TODAY}.ann": 5}
    assert caps_of(engine, submitted(1, tenant="bob")) == {f"{TODAY}.bob": 1}
    run_into(engine, job, over(f"{TODAY}.ann", 5))
    assert state(engine, job) == "paused"
    budgets.tell(engine, _job(engine, job))
    budgets.allow(engine, "ann", per_day_usd=7)
    assert _told_cap(engine) == 7
    assert lifecycle.let_go(engine) == 1
    assert budgets.lift(engine, "ann")
    assert _told_cap(engine) == 5


def _told_cap(engine: Context) -> float:
    told = read(engine.redis, engine.settings.keys, f"{TODAY}.ann")
    assert told is not None
    return told.cap_usd


def test_what_other_jobs_of_the_tenant_have_spent_counts(engine: Context) -> None:
    budgets.allow(engine, "ann", per_day_usd=3)
    first = begun(engine, 3, tenant="ann")
    work(engine, first)
    for batch in flying(engine, begun(engine, 1, tenant="bob")):
        settle_trail(engine, answered(batch))
    budgets.tell(engine, _job(engine, first))
    told = read(engine.redis, engine.settings.keys, f"{TODAY}.ann")
    assert told is not None
    assert (told.spent_usd, told.cap_usd) == (3 * PRICE_USD, 3)
    (allowance,) = budgets.allowances(engine)
    assert (allowance.spent_today_usd, allowance.spent_usd) == (3 * PRICE_USD, 3 * PRICE_USD)


def _job(engine: Context, job: str):
    with engine.db.reading() as tx:
        return engine.job(tx, job)


@pytest.mark.parametrize(
    ("tenant", "caps", "key", "words", "mend"),
    [
        pytest.param(
            "ann", {"per_day_usd": 1}, f"{TODAY}.ann", "today's budget of tenant 'ann'", "--tenant ann --per-day"
        ),
        pytest.param("ann", {"total_usd": 1}, "total.ann", "the budget of tenant 'ann'", "--tenant ann --total"),
        pytest.param("*", {"per_day_usd": 1}, f"{TODAY}.*", "all tenants together", "--everyone --per-day"),
    ],
)
def test_a_pause_names_the_cap_and_ends_when_that_is_raised(
    engine: Context, tenant: str, caps: dict[str, float], key: str, words: str, mend: str
) -> None:
    budgets.allow(engine, tenant, **caps)
    job = begun(engine, 2, tenant="ann")
    run_into(engine, job, over(key, 1))
    assert state(engine, job) == "paused"
    assert words in reason(engine, job)
    assert mend in reason(engine, job)
    assert lifecycle.let_go(engine) == 0
    budgets.allow(engine, tenant, **dict.fromkeys(caps, 2.0))
    sweep.Rescue(engine).sweep()
    assert state(engine, job) == "running"
    work(engine, job)
    assert money(engine, job)[0] == 4


def test_a_job_goes_on_by_itself_when_the_day_is_over(engine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets.allow(engine, "ann", per_day_usd=1)
    job = begun(engine, 1, tenant="ann")
    run_into(engine, job, over(f"{TODAY}.ann", 1))
    assert lifecycle.let_go(engine) == 0
    real = jobs.clock
    monkeypatch.setattr(jobs, "clock", lambda tx: real(tx) + timedelta(days=1))
    assert lifecycle.let_go(engine) == 1
    assert state(engine, job) == "running"


def test_a_cap_that_is_lifted_holds_nobody(engine: Context) -> None:
    budgets.allow(engine, "ann", total_usd=1)
    job = begun(engine, 1, tenant="ann")
    run_into(engine, job, over("total.ann", 1))
    assert budgets.lift(engine, "ann")
    assert not budgets.lift(engine, "ann")
    assert lifecycle.let_go(engine) == 1
    assert caps_of(engine, job) == {}


def test_who_pauses_a_job_that_a_budget_has_paused_means_it(engine: Context) -> None:
    job = begun(engine, 1, budget_usd=1)
    run_into(engine, job, over(f"job.{job}", 1))
    pause(engine, job, reason="lunch")
    change(engine, JobRow, {"budget_usd": 5.0}, id=job)
    assert lifecycle.let_go(engine) == 0
    assert state(engine, job) == "paused"


def test_a_refusal_by_a_cap_that_was_raised_since_pauses_nothing(engine: Context) -> None:
    job = begun(engine, 1, budget_usd=1)
    change(engine, JobRow, {"budget_usd": 5.0}, id=job)
    run_into(engine, job, over(f"job.{job}", 1))
    assert state(engine, job) == "running"
    age(engine, job)
    sweep.nudge(engine)
    work(engine, job)
    assert state(engine, job) == "done"


def test_a_budget_that_calls_under_way_are_in_the_way_of_defers_and_does_not_pause(engine: Context) -> None:
    job = begun(engine, 1, budget_usd=1)
    run_into(engine, job, over(f"job.{job}", 1).evolve(wait_s=3.0))
    assert state(engine, job) == "running"
    assert api.status(job).reason is None
