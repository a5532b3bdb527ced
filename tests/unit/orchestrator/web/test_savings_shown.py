"""Where a saving comes from, on the quality page: tunings with their curves, and students."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.experiments.tune_report import CurvePoint, StepTuned, TuneReport
from firstline.orchestrator.store import tunings
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import StudentRow
from firstline.schemas.access import Role
from tests.unit.web_house import build_house

CURVE = tuple(CurvePoint(cost_share=1 - share, loss=share / 10) for share in (0.0, 0.4, 0.8))
STEP = StepTuned(
    step="sort",
    skill="sort",
    top_model="openai/large",
    top_usd_per_1000_rows=2.0,
    candidates=(),
    model="openai/small",
    cost_share=0.29,
    low=0.24,
    high=0.36,
    curve=CURVE,
)
TUNED = TuneReport(
    workflow="tickets",
    rows=500,
    labels=200,
    max_loss=0.05,
    delta=0.1,
    at_most_usd=2.0,
    spent_usd=1.5,
    steps=(STEP,),
    cost_share=0.29,
    low=0.24,
    high=0.36,
)


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


def student(tenant: str) -> StudentRow:
    return StudentRow(
        job=f"job-of-{tenant}",
        step="sort",
        tier="own",
        tenant=tenant,
        skill="sort",
        skill_digest="d",
        version=1,
        packed=b"",
        labels=800,
        answers=4,
        opening=800,
        margins=[],
        wrong=[],
        state="off",
        reason="caught as often as may be",
        margin=0.4,
        max_loss=0.02,
        delta=0.1,
        served=120,
        audits=30,
        caught=6,
        trained_at=now(),
    )


def page_of(house, tenant: str) -> str:
    client = house.client()
    client.post("/login", data={"token": house.token(Role.VIEWER, tenant)})
    return client.get("/quality").text


def filled(tenant: str) -> None:
    row = student(tenant).model_dump(exclude={"id"})
    with api.engine().db.writing() as tx:
        tunings.insert(
            tx, tenant=tenant, workflow=f"work-of-{tenant}", report=TUNED.model_dump(mode="json"), origin=None
        )
        tx.execute(StudentRow.__table__.insert().values(**row))


def test_a_tuning_says_what_it_saves_and_its_curve_is_drawn(house):
    filled("a")
    page = page_of(house, "a")
    assert "this saves 71% (64% to 76%) at a loss of at most 5%" in page
    assert "openai/small first, 29.0% of openai/large" in page
    assert "tickets, sort: cost over loss" in page


def test_a_student_says_what_it_answered_and_why_it_is_off(house):
    filled("a")
    page = page_of(house, "a")
    assert "job-of-a" in page
    assert "caught as often as may be" in page


def test_nobody_sees_another_tenants(house):
    filled("a")
    page = page_of(house, "b")
    assert "job-of-a" not in page
    assert "tickets" not in page
