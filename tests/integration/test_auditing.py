"""Audits are drawn when answers settle, asked after the job, and raise the flag when too much is lost."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.plans.thresholds import known_certificates, thresholds_of
from firstline.orchestrator.quality import audits
from firstline.orchestrator.store import calibrations, decisions
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import AuditRow, CalibrationRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy, Signal, Threshold
from firstline.schemas.verdict import Escalate
from tests.integration.jobs import PROFILE, SKILL, begun, change, cut, rows, state, work


@pytest.fixture(autouse=True)
def own_api(engine, monkeypatch) -> None:
    """Let the producer API work on the test's servers."""
    monkeypatch.setattr(api, "engine", lambda: engine)


def audited_job(
    engine, count: int = 6, *, share: float = 1.0, purpose: str = "run", options: dict | None = None, **policy
) -> str:
    step = Step(name="s0", skill="sort", policy=Policy(audit_share=share, **policy))
    job = begun(engine, count, steps=[step], purpose=purpose, **(options or {}))
    work(engine, job)
    # Trails written by hand do not name their skill.
    change(engine, AttemptRow, {"skill": "sort", "skill_digest": SKILL.digest}, job=job)
    return job


def answer_audits(engine, job: str, *, lost: int = 0) -> None:
    """Let the top tier answer what was drawn; on `lost` items it says something else than what was accepted."""
    for audit_job in audits.ask(job):
        start(engine, audit_job)
        cut(engine, audit_job)
        work(engine, audit_job)
        for n in range(lost):
            change(engine, ItemRow, {"output": {"label": "something else"}}, job=audit_job, n=n)
        audits.compare(audit_job)


def test_every_drawn_answer_below_the_top_is_asked_of_the_top_tier_in_a_job_of_its_own(engine):
    job = audited_job(engine, 4)
    (audit_job,) = audits.ask(job)
    row = rows(engine, JobRow, id=audit_job)[0]
    assert (row["purpose"], row["priority"], row["options"]["tiers"], row["items"]) == ("audit", "low", ["frontier"], 4)
    assert [item["input"] for item in rows(engine, ItemRow, job=audit_job)] == [{"text": f"text {n}"} for n in range(4)]
    assert audits.ask(job) == [audit_job]
    assert [row["state"] for row in rows(engine, AuditRow, job=job)] == ["asked"] * 4


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"share": 0.0}, id="no share"),
        pytest.param({"purpose": "calibrate"}, id="a job that only measures"),
    ],
)
def test_nothing_else_is_drawn(engine, options):
    assert rows(engine, AuditRow, job=audited_job(engine, 4, **options)) == []


def test_what_the_top_tier_answered_itself_is_not_drawn(engine):
    step = Step(name="s0", skill="sort", policy=Policy(audit_share=1.0))
    job = begun(engine, 3, steps=[step])
    seen = set()

    def climb(item, todo):
        if item in seen:
            return None
        seen.add(item)
        return Escalate(reason="unsure")

    work(engine, job, climb)
    assert state(engine, job) == "done"
    assert rows(engine, AuditRow, job=job) == []


def test_a_job_that_runs_is_audited_a_lot_at_a_time(engine, monkeypatch):
    monkeypatch.setattr(audits, "LOT", 4)
    step = Step(name="s0", skill="sort", policy=Policy(audit_share=1.0))
    job = begun(engine, 6, steps=[step])
    work(engine, job)
    change(engine, JobRow, {"state": "running"}, id=job)
    drawn = [row["item"] for row in rows(engine, AuditRow, job=job)]
    change(engine, AuditRow, {"state": "void"}, job=job)
    change(engine, AuditRow, {"state": "wanted"}, job=job, item=drawn[0])
    audits.sweep(engine)
    assert audits.ask(job) == [], "one alone waits for more"
    change(engine, AuditRow, {"state": "wanted"}, job=job)
    audits.sweep(engine)
    assert {row["state"] for row in rows(engine, AuditRow, job=job)} == {"asked"}


def test_the_live_loss_is_the_share_of_audits_that_were_lost(engine):
    answer_audits(engine, audited_job(engine, 6), lost=2)
    (found,) = audits.findings()
    assert (found.loss.audited, found.loss.losses, found.loss.estimate) == (6, 2, pytest.approx(1 / 3))
    assert (found.state, found.calibration, found.cost_usd) == ("watched", None, pytest.approx(1.5))


def test_audits_that_are_compared_while_others_are_still_asked_take_nothing_from_these(engine):
    job = audited_job(engine, 6)
    (audit_job,) = audits.ask(job)
    start(engine, audit_job)
    cut(engine, audit_job)
    work(engine, audit_job)
    for n in range(3, 6):
        change(engine, ItemRow, {"state": "pending"}, job=audit_job, n=n)
    change(engine, JobRow, {"state": "running"}, id=audit_job)
    assert audits.compare(audit_job) == 3
    for n in range(3, 6):
        change(engine, ItemRow, {"state": "settled"}, job=audit_job, n=n)
    change(engine, JobRow, {"state": "done"}, id=audit_job)
    assert audits.compare(audit_job) == 3
    (found,) = audits.findings()
    assert (found.loss.audited, found.pending) == (6, 0)


def test_drift_of_a_calibrated_skill_marks_its_calibration_and_by_policy_nothing_is_accepted_any_more(engine):
    with engine.db.writing() as tx:
        calibration = calibrations.insert(tx, row=calibrated())
    job = audited_job(engine, 30, on_drift="escalate")
    answer_audits(engine, job, lost=20)
    with engine.db.writing() as tx:
        row = next(row for row in calibrations.every(tx) if row["id"] == calibration)
        assert (row["state"], row["reason"].startswith("audits: 20 of 30 accepted answers")) == ("drifted", True)
        known = threshold(tx, on_drift="escalate")
        assert (known.signal, known.value, known.source, known.calibration_id) == ("margin", None, "audit", calibration)
        assert [one["choice"] for one in decisions.of(tx, job=job, kind="drift")] == ["escalate"]
    assert audits.findings()[0].calibration_state == "drifted"


def test_drift_without_a_calibration_is_remembered_until_there_is_one(engine):
    answer_audits(engine, audited_job(engine, 30, on_drift="escalate"), lost=20)
    with engine.db.writing() as tx:
        (row,) = calibrations.every(tx)
        assert (row["state"], row["signal"], row["threshold"]) == ("drifted", calibrations.ANY_SIGNAL, None)
        assert threshold(tx, on_drift="escalate").value is None
        calibrations.insert(tx, row=calibrated())
        assert threshold(tx, on_drift="escalate", skill=SKILL) is None, "of a signal that the skill does not have"
        assert [row["state"] for row in calibrations.every(tx)] == ["live", "dead"]


def test_a_flag_alone_changes_no_threshold(engine):
    with engine.db.writing() as tx:
        calibrations.insert(tx, row=calibrated())
    answer_audits(engine, audited_job(engine, 30), lost=20)
    with engine.db.writing() as tx:
        assert threshold(tx).value == 0.8
        assert calibrations.every(tx)[0]["state"] == "drifted"


def test_each_version_of_a_skill_keeps_its_own_calibration(engine):
    mine = SKILL.evolve(confidence=(Signal(kind="margin"),))
    theirs = mine.evolve(instructions="Sort it in another way.")
    with engine.db.writing() as tx:
        for skill, value in ((mine, 0.8), (theirs, 0.6)):
            values = {"skill_digest": skill.digest, "threshold": value}
            calibrations.insert(tx, row=CalibrationRow(**(calibrated().model_dump(exclude={"id"}) | values)))
        assert threshold(tx, skill=mine.evolve(instructions="Nobody calibrated this.")) is None
        assert [threshold(tx, skill=skill).value for skill in (theirs, mine)] == [0.6, 0.8]


def test_an_audit_that_the_top_tier_could_not_answer_counts_for_nothing(engine):
    job = audited_job(engine, 2)
    (audit_job,) = audits.ask(job)
    change(engine, ItemRow, {"state": "failed"}, job=audit_job)
    change(engine, JobRow, {"state": "done"}, id=audit_job)
    audits.compare(audit_job)
    assert [row["state"] for row in rows(engine, AuditRow, job=job)] == ["void", "void"]
    assert audits.findings()[0].loss.audited == 0


def test_the_sweep_asks_what_is_due_and_compares_what_was_answered(engine):
    job = audited_job(engine, 2)
    audits.sweep(engine)
    assert [row["state"] for row in rows(engine, AuditRow, job=job)] == ["asked", "asked"]


def test_a_step_s_own_word_on_drift_holds_in_the_next_job(engine):
    """The skill only flags; 60 of 60 were still accepted when its step said `escalate`."""
    answer_audits(engine, audited_job(engine, 30, on_drift="escalate"), lost=20)
    job = audited_job(engine, 4, on_drift="escalate")
    with engine.db.reading() as tx:
        planned = engine.job(tx, job).plan.step("s0")
    assert (planned.start_tier, planned.thresholds["cheap"]["openai/small"].source) == ("frontier", "audit")


def test_a_step_that_bears_less_than_its_skill_drifts_sooner(engine):
    answer_audits(engine, audited_job(engine, 60, max_loss=0.01), lost=4)
    (found,) = audits.findings()
    assert (found.max_loss, found.state) == (0.01, "drifted")


def threshold(tx, *, skill=None, tenant="default", **policy) -> Threshold | None:
    """What holds for the small model's answers on the cheap tier."""
    skill = skill or SKILL.evolve(confidence=(Signal(kind="margin"),))
    known = known_certificates(tx, profile=PROFILE, tenant=tenant)(skill)
    return thresholds_of(skill, Policy(**policy), PROFILE.ladder[:-1], known).get("cheap", {}).get("openai/small")


def calibrated() -> CalibrationRow:
    return CalibrationRow(
        skill="sort",
        skill_version=1,
        skill_digest=SKILL.digest,
        cheap_model="openai/small",
        frontier_model="openai/large",
        signal="margin",
        method="ltt-binomial",
        threshold=0.8,
        labels_used=100,
        max_loss=0.05,
        certified_max_loss=0.05,
        delta=0.1,
        created_at=now().replace(year=2025),
    )


def test_one_tenants_audits_say_nothing_of_anothers_answers(engine):
    with engine.db.writing() as tx:
        calibrations.insert(tx, row=calibrated())
    answer_audits(engine, audited_job(engine, 30, on_drift="escalate", options={"tenant": "b"}), lost=20)
    with engine.db.reading() as tx:
        assert threshold(tx, tenant="b", on_drift="escalate", skill=SKILL).source == "audit"
        known = threshold(tx, on_drift="escalate")
    assert known.source == "calibrated", "another tenant's drift drives this one's items up"
    assert [found.tenant for found in audits.findings(tenant="b")] == ["b"]
    assert audits.findings(tenant="default") == []


def test_an_audit_has_what_is_left_of_its_jobs_budget(engine):
    job = audited_job(engine, 4, options={"budget_usd": 1.5})
    (audit_job,) = audits.ask(job)
    assert rows(engine, JobRow, id=audit_job)[0]["budget_usd"] == pytest.approx(0.5)


def test_nothing_is_audited_with_a_budget_that_is_used_up(engine):
    job = audited_job(engine, 4, options={"budget_usd": 1.0})
    assert audits.ask(job) == []
    assert [row["state"] for row in rows(engine, AuditRow, job=job)] == ["wanted"] * 4
