"""What a report says of a job's money and errors: the top tier alone, audits, what climbed, who is to blame."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.money import bill, spending
from firstline.orchestrator.reports import model_stats
from firstline.orchestrator.reports.job_charts import over_time
from firstline.orchestrator.store import item_lists
from firstline.orchestrator.store.item_lists import ItemOrder
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.schemas.plan import Step, StepKind
from firstline.schemas.policy import Demand
from firstline.schemas.verdict import Escalate
from tests.integration.jobs import begun, work

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]

AT = datetime.now(UTC)
#: The top tier of these jobs costs $1 per million tokens, in and out.
M = 1_000_000


def asked(engine: Context, job: str, **changes: Any) -> None:
    """Put one call on record."""
    row = {
        "job": job,
        "item": 0,
        "step": "s0",
        "n": 0,
        "tier": "cheap",
        "model": "openai/small",
        "started_at": AT,
        "latency_s": 0.1,
        "input_tokens": M,
        "output_tokens": M,
        "cost_usd": 0.1,
        "verdict": "accept",
        "skill": "sort",
        **changes,
    }
    with engine.db.writing() as tx:
        tx.execute(AttemptRow.__table__.insert().values(**AttemptRow(**row).model_dump()))  # type: ignore[attr-defined]


def test_the_top_tier_alone_gives_one_answer_an_item_and_step(engine: Context) -> None:
    job = begun(engine, 1)
    # It is asked, sent back with feedback, accepted, asked anew by a reviewer, and accepted again.
    asked(engine, job, n=0, verdict="retry", error="checks", output_tokens=3 * M)
    asked(engine, job, n=1, input_tokens=5 * M, output_tokens=2 * M)
    asked(engine, job, n=2, input_tokens=9 * M, output_tokens=M)
    asked(engine, job, n=3, purpose="verify", input_tokens=7 * M)
    assert api.report(job).baseline_cost_usd == pytest.approx(1 + 1)


@pytest.mark.parametrize(
    ("order", "numbers"),
    [("place", [0, 1, 2]), ("cost", [1, 2, 0]), ("calls", [2, 0, 1]), ("time", [0, 2, 1]), ("confidence", [2, 1, 0])],
)
def test_items_are_listed_by_what_they_took(engine: Context, order: str, numbers: list[int]) -> None:
    job = begun(engine, 3)
    figures = {0: (0.1, 2, 9.5, 0.9), 1: (0.3, 1, None, 0.5), 2: (0.2, 3, 9.1, None)}
    asked(engine, job, item=2, confidence=0.2)
    asked(engine, job, item=2, n=1, confidence=0.8)
    for n, (cost_usd, attempts, took_s, confidence) in figures.items():
        if confidence is not None:
            asked(engine, job, item=n, confidence=confidence)
        ended = AT + timedelta(seconds=took_s) if took_s else None
        with engine.db.writing() as tx:
            row = update(_item).where(_item.c.job == job, _item.c.n == n)
            tx.execute(row.values(cost_usd=cost_usd, attempts=attempts, started_at=AT, ended_at=ended))
    with engine.db.reading() as tx:
        listed = item_lists.items(tx, job=job, order=ItemOrder(order), limit=9)
        second = item_lists.items(tx, job=job, order=ItemOrder(order), offset=1, limit=1)
    assert [row["n"] for row in listed] == numbers
    assert [row["n"] for row in second] == numbers[1:2]


def test_a_job_over_time_adds_up_to_its_money_and_its_items(engine: Context) -> None:
    job = begun(engine, 4)
    began = AT - timedelta(minutes=30)
    for n, (tier, minutes) in enumerate((("cheap", 1), ("cheap", 2), ("top", 20), ("cheap", 29))):
        at = began + timedelta(minutes=minutes)
        asked(engine, job, item=n, tier=tier, started_at=at, cost_usd=0.1 * (n + 1), latency_s=minutes)
        ended = {"state": "settled" if n else "failed", "tier": tier, "ended_at": at}
        with engine.db.writing() as tx:
            tx.execute(update(_item).where(_item.c.job == job, _item.c.n == n).values(**ended))
    with engine.db.writing() as tx:
        tx.execute(update(_job).where(_job.c.id == job).values(started_at=began, ended_at=AT))
    with engine.db.reading() as tx:
        found = over_time(tx, job=job)
    assert found is not None
    assert {tier: sum(usd) for tier, usd in found.usd.items()} == pytest.approx({"cheap": 0.7, "top": 0.3})
    assert {tier: sum(count) for tier, count in found.items.items()} == {"failed": 1, "cheap": 2, "top": 1}
    ends = dict(zip(found.ends, found.usd["top"], strict=True))
    (spent_at,) = (end for end, usd in ends.items() if usd)
    assert 0 < spent_at - (began + timedelta(minutes=20)).timestamp() <= 30
    assert found.frontier_usd == pytest.approx(4 * 2 / 4)
    assert found.latency["cheap"][found.edges_s.index(1.0)] == 1
    assert found.latency["cheap"][found.edges_s.index(60.0)] == 1
    assert found.latency["top"][found.edges_s.index(20.0)] == 1


def test_errors_by_day_leave_out_what_brought_no_answer(engine: Context) -> None:
    job = begun(engine, 1)
    for n, error in enumerate((None, "off_schema", "rate", "unsure")):
        asked(engine, job, n=n, error=error, verdict="accept" if error is None else "retry")
    with engine.db.reading() as tx:
        (one,) = model_stats.errors_by_day(tx, tenant=None, days=1, by="model")
    assert (one.name, one.came, one.wrong, one.day) == ("openai/small", 3, 1, f"{AT:%Y-%m-%d}")


def test_reviewers_and_answers_of_the_cache_are_not_in_it(engine: Context) -> None:
    steps = [
        Step(name="s0", skill="sort"),
        Step(name="check", kind=StepKind.CHECKPOINT, skill="sort", reviews="s0", after=("s0",)),
    ]
    job = begun(engine, 2, steps=steps)
    asked(engine, job)
    asked(engine, job, item=-1, step="check", input_tokens=50 * M)
    asked(engine, job, item=1, from_cache=True, cost_usd=0.0, saved_usd=0.1)
    report = api.report(job)
    assert report.baseline_cost_usd == pytest.approx(2)
    assert (report.cache_hits, report.cache_saved_usd) == (1, pytest.approx(0.1))


def test_audits_are_in_the_total_and_the_saving_is_told_with_and_without_them(engine: Context) -> None:
    job = begun(engine, 1)
    asked(engine, job)
    audit = {"skill": "sort", "skill_digest": "d", "tier": "cheap", "model": "openai/small", "state": "done", "at": AT}
    with engine.db.writing() as tx:
        row = AuditRow(job=job, item=0, step="s0", cost_usd=0.3, **audit)  # type: ignore[arg-type]
        tx.execute(AuditRow.__table__.insert().values(**row.model_dump()))  # type: ignore[attr-defined]
    report = api.report(job)
    assert report.audit_cost_usd == pytest.approx(0.3)
    assert report.saving == pytest.approx(1 - 0.4 / 2)
    assert report.saving_without_audits == pytest.approx(1 - 0.1 / 2)


def test_escalated_is_what_climbed_not_what_began_higher(engine: Context) -> None:
    steps = [Step(name="s0", skill="sort"), Step(name="s1", skill="sort", after=("s0",), reasoning=Demand.HIGH)]
    job = begun(engine, 4, steps=steps)
    work(
        engine,
        job,
        lambda item, todo: Escalate(reason="no") if item == 0 and todo.step == "s0" and not todo.n else None,
    )
    status, report = api.status(job), api.report(job)
    assert (status.settled, status.escalated) == (4, 1)
    assert report.escalation_rate == pytest.approx(0.25)


def test_calls_that_brought_no_answer_are_nobodys_wrong_answer_and_cost_nothing(engine: Context) -> None:
    job = begun(engine, 1)
    for n in range(3):
        asked(engine, job, n=n, verdict="fault", error="rate", cost_usd=0.0, input_tokens=None, output_tokens=None)
    asked(engine, job, n=3, verdict="retry", error="malformed")
    asked(engine, job, n=4)
    report = api.report(job)
    (line,), (task,) = report.models, report.skills
    assert (line.wrong, line.unanswered, line.error_rate) == (1, 3, pytest.approx(0.5))
    assert report.unpriced_attempts == 0
    assert (task.skill, task.tasks, task.calls, task.unanswered) == ("sort", 1, 5, 3)
    assert task.cost_per_task_usd == pytest.approx(0.2)
    with engine.db.reading() as tx:
        (model,) = model_stats.model_marks(tx, tenant=None, days=1)
        (skill,) = model_stats.task_stats(tx, tenant=None, days=1)
    assert (model.wrong, model.unanswered, model.error_rate) == (1, 3, pytest.approx(0.5))
    assert (skill.accepted, skill.error_rate, skill.cost_per_task_usd) == (1, pytest.approx(0.5), pytest.approx(0.2))


def test_a_cost_that_nobody_knows_is_unknown_and_not_0(engine: Context) -> None:
    job = begun(engine, 1)
    asked(engine, job, cost_usd=None, input_tokens=None, output_tokens=None)
    report = api.report(job)
    assert (report.cost_usd, report.unpriced_attempts) == (None, 1)


def test_the_money_page_counts_what_made_sure_of_the_answers(engine: Context) -> None:
    run, audit = begun(engine, 1), begun(engine, 1, purpose="audit")
    asked(engine, run)
    asked(engine, audit, cost_usd=0.3)
    asked(engine, run, n=1, started_at=AT - timedelta(days=90))
    with engine.db.reading() as tx:
        money = spending.money(tx, tenant=None, days=7)
    assert (money.run_cost_usd, money.assurance_cost_usd) == (pytest.approx(0.1), pytest.approx(0.3))
    assert money.saving == pytest.approx(1 - 0.4 / 2)
    assert money.saving_of_runs == pytest.approx(1 - 0.1 / 2)


def test_the_ledger_of_a_provider_leaves_out_what_was_never_billed(engine: Context) -> None:
    job = begun(engine, 1)
    asked(engine, job)
    asked(engine, job, n=1, verdict="fault", error="rate", cost_usd=0.0, input_tokens=None, output_tokens=None)
    asked(engine, job, n=2, from_cache=True, cost_usd=0.0)
    asked(engine, job, n=3, model="anthropic/claude")
    with engine.db.reading() as tx:
        found = bill.ledger(tx, provider="openai", since=None, until=None)
    ((key, amount),) = found.items()
    assert key == (AT.date(), "small")
    assert amount == bill.Amount(calls=1, input_tokens=M, output_tokens=M, cost_usd=0.1)
