"""The first page: what needs me, what is stuck, what runs, what it cost."""

from datetime import timedelta

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.monitoring import obstacles as told
from firstline.orchestrator.monitoring.live_workers import Crowd
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import ItemRow, JobRow
from firstline.schemas.access import Role
from tests.unit.web_house import build_house

_item, _job = ItemRow.__table__, JobRow.__table__


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def section(page, title):
    """The text of one section of the first page."""
    assert f"<h2>{title}</h2>" in page, f"there is no section {title}"
    return page.split(f"<h2>{title}</h2>")[1].split("</section>")[0]


def begun(job, **values):
    with api.engine().db.writing() as tx:
        tx.execute(_job.update().where(_job.c.id == job).values(state="running", **values))


def test_a_job_that_nobody_works_on_is_stuck_and_says_what_to_start(house):
    begun(house.submit(3, name="orphan"))
    stuck = section(house.client().get("/").text, "Stuck")
    assert "orphan" in stuck
    assert "no orchestrator is alive" in stuck


def test_a_plan_that_waits_and_a_pause_need_me_and_are_not_stuck(house, monkeypatch):
    monkeypatch.setattr(told, "_crowd", lambda engine: Crowd(led=True))
    job = house.submit(3, name="lunch")
    begun(job)
    api.pause(job)
    page = house.client().get("/").text
    assert "paused by a person" in section(page, "Needs you")
    assert "<h2>Stuck</h2>" not in page


def test_a_running_job_says_its_pace_and_what_is_left(house):
    job = house.submit(30, name="busy")
    begun(job, started_at=now() - timedelta(hours=2))
    ended = {"state": "settled", "tier": "cheap", "ended_at": now()}
    with api.engine().db.writing() as tx:
        tx.execute(_item.update().where(_item.c.job == job, _item.c.n < 10).values(**ended))
        tx.execute(
            _item.update()
            .where(_item.c.job == job, _item.c.n.in_([10, 11]))
            .values(**ended | {"ended_at": now() - timedelta(hours=1)})
        )
    running = section(house.client().get("/").text, "Under way")
    assert "12 of 30" in running
    assert "5.00 items a minute" in running
    assert "3 min 36 s left" in running
    assert "5.00 items a minute" in house.client().get(f"/jobs/{job}").text


def test_what_has_ended_runs_no_more_and_nothing_needs_me(house):
    job = house.submit(1, name="over")
    api.cancel(job)
    page = house.client().get("/").text
    assert "over" not in section(page, "Under way")
    assert "Nothing does" in section(page, "Needs you")
    assert "over" in page.split("<h2>Ended last</h2>")[1]


def test_a_tenant_sees_only_its_own(house):
    house.token()
    begun(house.submit(1, name="secretive", token=house.token(tenant="other", role=Role.SUBMITTER)))
    assert "secretive" not in house.client(house.token(role=Role.VIEWER)).get("/").text


def test_what_ended_last_stands_first_whenever_it_was_submitted(house):
    early, late = house.submit(1, name="submitted-early"), house.submit(1, name="submitted-late")
    api.cancel(late)
    api.cancel(early)
    page = house.client().get("/").text.split("<h2>Ended last</h2>")[1]
    assert page.index("submitted-early") < page.index("submitted-late")
