"""Audits of prose: nothing is claimed that nobody compares, and a judge counts as far as it is known to be right."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.quality import audits
from firstline.orchestrator.store import judge_errors
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import AuditRow, JudgeErrorRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy
from tests.integration import jobs
from tests.integration.jobs import SKILL, begun, change, cut, rows, work

MUTE = SKILL.evolve(compare={})
JUDGED = type(SKILL).model_validate(SKILL.model_dump() | {"compare": "judge", "judge": {"rubric": "The facts."}})


@pytest.fixture(autouse=True)
def own_api(engine, monkeypatch) -> None:
    monkeypatch.setattr(api, "engine", lambda: engine)


def audited(engine, monkeypatch, skill, count: int = 6, **options) -> str:
    """A job whose answers the top tier has given too, each in other words; return the audit job."""
    monkeypatch.setattr(jobs, "SKILL", skill)
    job = begun(engine, count, steps=[Step(name="s0", skill="sort", policy=Policy(audit_share=1.0))], **options)
    work(engine, job)
    change(engine, AttemptRow, {"skill": "sort", "skill_digest": skill.digest}, job=job)
    (audit_job,) = audits.ask(job)
    start(engine, audit_job)
    cut(engine, audit_job)
    work(engine, audit_job)
    for n in range(count):
        change(engine, ItemRow, {"output": {"label": f"in other words {n}"}}, job=audit_job, n=n)
    audits.compare(audit_job)
    return audit_job


def judge(engine, audit_job: str, *, different: int = 0, torn: int = 0) -> str:
    """Let the judge call the first so many pairs different, the next ones only in one of both orders."""
    (judge_job,) = audits.judge_jobs(audit_job)
    start(engine, judge_job)
    cut(engine, judge_job)
    work(engine, judge_job)
    for row in rows(engine, ItemRow, job=judge_job):
        number, order = row["item_id"].split("/")
        same = int(number) >= different + torn or (int(number) >= different and order == "a")
        change(engine, ItemRow, {"output": {"difference": "none", "same": same}}, job=judge_job, n=row["n"])
    audits.compare(audit_job)
    return judge_job


def measured(engine, *, same=60, alarms=6, different=60, missed=6) -> None:
    known = {"same": same, "alarms": alarms, "different": different, "missed": missed}
    row = JudgeErrorRow(skill="sort", skill_digest=JUDGED.digest, model="openai/large", at=now(), **known)
    with engine.db.writing() as tx:
        judge_errors.insert(tx, row=row)


def test_prose_that_nobody_compares_is_not_compared_and_never_lost(engine, monkeypatch):
    audited(engine, monkeypatch, MUTE, 30)
    (found,) = audits.findings()
    assert (found.loss.audited, found.loss.losses, found.uncompared) == (0, 0, 30)
    assert (found.state, found.state_in_words, found.silent) == ("uncompared", "not compared", ("label",))
    assert {row["state"] for row in rows(engine, AuditRow)} == {"uncompared"}


def test_the_same_in_other_words_is_not_lost_and_what_differs_is(engine, monkeypatch):
    audit_job = audited(engine, monkeypatch, JUDGED)
    (waiting,) = audits.findings()
    assert (waiting.loss.audited, waiting.pending) == (0, 6)
    measured(engine, alarms=0, missed=0)
    judge_job = judge(engine, audit_job, different=1, torn=1)
    (found,) = audits.findings()
    assert (found.loss.audited, found.loss.losses, found.pending) == (6, 2, 0)
    assert found.loss.estimate == pytest.approx(1 / 3)
    items = rows(engine, ItemRow, job=judge_job)
    one, other = (next(row["input"] for row in items if row["item_id"] == f"0/{order}") for order in "ab")
    assert (one["one"], one["other"]) == (other["other"], other["one"])
    assert one["one"] == {"label": "s0 of 0"}
    assert (one["task"], one["asked"], one["rubric"]) == (SKILL.instructions, {"text": "text 0"}, "The facts.")


def test_a_judge_that_nobody_has_measured_claims_nothing_and_raises_no_flag(engine, monkeypatch):
    judge(engine, audited(engine, monkeypatch, JUDGED, 40), different=40)
    (found,) = audits.findings()
    assert (found.state, found.loss.low, found.loss.high) == ("unmeasured", 0, 1)
    assert "nobody has measured" in found.judge


def test_a_judges_own_error_is_no_drift_and_what_is_beyond_it_is(engine, monkeypatch):
    measured(engine)
    audit_job = audited(engine, monkeypatch, JUDGED, 60)
    judge(engine, audit_job, different=6)
    (found,) = audits.findings()
    assert (found.state, found.loss.estimate) == ("watched", 0)
    judge(engine, audited(engine, monkeypatch, JUDGED, 60), different=45)
    assert audits.findings()[0].state == "drifted"


def test_a_judge_has_what_is_left_of_its_audits_budget(engine, monkeypatch):
    audit_job = audited(engine, monkeypatch, JUDGED, 4, budget_usd=2.75)
    assert rows(engine, JobRow, id=audit_job)[0]["budget_usd"] == pytest.approx(1.75)
    (judge_job,) = audits.judge_jobs(audit_job)
    assert rows(engine, JobRow, id=judge_job)[0]["budget_usd"] == pytest.approx(0.75)
    judge(engine, audit_job)
    assert audits.findings()[0].cost_usd == pytest.approx(4 * 3 * 0.25)


def test_without_money_for_the_judge_an_audit_counts_for_nothing(engine, monkeypatch):
    audit_job = audited(engine, monkeypatch, JUDGED, 4, budget_usd=2.0)
    assert audits.judge_jobs(audit_job) == []
    assert {row["state"] for row in rows(engine, AuditRow)} == {"void"}
