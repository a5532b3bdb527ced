"""Calibrations begun from the pages: what the form refuses, what is shown meanwhile, and what came of them."""

import re
import threading
import time
from datetime import timedelta

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.background import ExperimentKind
from firstline.orchestrator.experiments.calibration_aim import CalibrationResult
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import BackgroundExperimentRow
from firstline.schemas.access import Role
from firstline.schemas.errors import UserError
from tests.unit.orchestrator.web.test_new_job import chosen
from tests.unit.web_house import build_house

ROWS = "no,body\n1,a long text\n2,another text\n"
RESULT = CalibrationResult(
    step="sort",
    skill="sort",
    skill_version=3,
    tier="cheap",
    cheap_model="openai/small",
    frontier_model="openai/big",
    signal="margin",
    items=2,
    gold=False,
    look=1,
    calibration=None,
    said="Accept at confidence 0.7 or above.",
)


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


class Visitor:
    """Somebody with a role, at the calibrations' pages."""

    def __init__(self, house, role=Role.OPERATOR, tenant="default"):
        self.client = house.client()
        self.client.post("/login", data={"token": house.token(role, tenant)})
        found = re.search(r'name="guard" value="([0-9a-f]{64})"', self.client.get("/calibrate").text)
        self.form = {"guard": found[1], "workflow": "sort", "profile": "house", "texts": ROWS, "from-text": "body"}

    def post(self, path="/calibrate", **fields):
        return self.client.post(path, data=self.form | fields)

    def shown(self, page, text):
        """Look until a text is shown."""
        for _ in range(200):
            if text in (seen := self.client.get(page.url.path).text):
                return seen
            time.sleep(0.02)
        raise AssertionError(f"{text!r} is not in {seen}")


@pytest.fixture
def played(monkeypatch):
    """Have calibrations come to what a test says; `orders` are what was to be calibrated."""

    class Played:
        def __init__(self):
            self.orders, self.outcome, self.go_on = [], [RESULT], threading.Event()

        def calibrate(self, order, aim, view):
            self.orders.append((order, aim, list(order.items())))
            for job in api.jobs():
                view.opened(job.job)
            assert self.go_on.wait(20)
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

    made = Played()
    monkeypatch.setattr(background, "calibrate", made.calibrate)
    yield made
    made.go_on.set()
    for thread in threading.enumerate():
        if thread.name.startswith("firstline-experiment"):
            thread.join(20)


def test_one_is_begun_watched_and_listed(house, played):
    job = house.submit(1)
    visitor = Visitor(house)
    page = visitor.post(labels="40", max_loss="0.1", gold="no", budget_usd="2")
    assert page.url.path.startswith("/calibrate/"), page.text
    seen = visitor.shown(page, f'href="/jobs/{job}"')
    assert "with 40 labels" in seen
    assert "hx-get=" in seen
    played.go_on.set()
    seen = visitor.shown(page, "Accept at confidence 0.7 or above.")
    assert "/live" not in seen
    ((order, aim, items),) = played.orders
    assert [item.input for item in items] == [{"no": "1", "text": "a long text"}, {"no": "2", "text": "another text"}]
    assert (aim.labels, aim.max_loss, aim.gold, order.request.options.budget_usd) == (40, 0.1, "no", 2.0)
    assert f'href="{page.url.path}"' in visitor.client.get("/calibrate").text


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (UserError("no skill has a confidence signal"), "no skill has a confidence signal"),
        (ZeroDivisionError("secret"), "a bug ended it"),
    ],
)
def test_what_ended_it_is_said(house, played, outcome, said):
    played.outcome = outcome
    played.go_on.set()
    visitor = Visitor(house)
    seen = visitor.shown(visitor.post(), said)
    assert "badge failed" in seen
    assert "secret" not in seen


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"texts": ""}, "no items: choose a file"),
        ({"workflow": ""}, "expected a workflow or a skill"),
        ({"labels": "many"}, "labels: "),
        ({"max_loss": "2"}, "max_loss: "),
        ({"texts": '{"n": 1}'}, "no item of the input has"),
    ],
)
def test_what_does_not_fit_is_shown_again_and_nothing_begins(house, played, fields, said):
    page = Visitor(house).post(**fields)
    assert page.status_code == 422
    assert said in page.text
    assert (played.orders, background.listing(ExperimentKind.CALIBRATION, tenant=None, limit=9)) == ([], [])


def test_the_form_shows_rows_and_columns_and_no_price_of_a_job(house):
    visitor = Visitor(house)
    del visitor.form["from-text"]
    seen = visitor.post("/calibrate/preview").text
    assert chosen(seen, "text") == "body"
    assert "Expected cost" not in seen


def test_without_redis_it_says_what_is_missing(house, monkeypatch, played):
    visitor = Visitor(house)
    settings = background.get_settings()
    monkeypatch.setattr(background, "get_settings", lambda: settings.model_copy(update={"redis_url": None}))
    page = visitor.post()
    assert page.status_code == 422
    assert "set FIRSTLINE_REDIS_URL" in page.text


def test_one_whose_process_is_gone_says_so(house):
    long_ago = now() - timedelta(minutes=5)
    row = BackgroundExperimentRow(
        id="a" * 12, tenant="default", workflow="sort", begun_by="Ada", aim={}, begun_at=long_ago, heard_at=long_ago
    )
    with api.engine().db.writing() as tx:
        background.store.insert(tx, row=row)
    seen = Visitor(house).client.get(f"/calibrate/{'a' * 12}").text
    assert "badge interrupted" in seen
    assert "what was answered is not paid again" in seen


def test_another_tenant_and_a_viewer_are_kept_out(house, played):
    played.go_on.set()
    page = Visitor(house, tenant="ours").post()
    assert Visitor(house, Role.VIEWER).post().status_code == 403
    theirs = Visitor(house, tenant="theirs").client
    assert theirs.get(page.url.path).status_code == 404
    assert page.url.path not in theirs.get("/calibrate").text


def test_comparisons_are_listed_where_they_are_begun(house):
    visitor = Visitor(house)
    form = visitor.form | {"texts": '{"text": "a"}', "models": ["openai/small", "openai/big"]}
    page = visitor.client.post("/compare", data=form)
    assert f'href="{page.url.path}"' in visitor.client.get("/compare").text
    assert page.url.path not in Visitor(house, tenant="theirs").client.get("/compare").text
