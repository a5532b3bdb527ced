"""Tunings from the pages: what the form says before anything is sent, what was found, and its being applied."""

import json
import re

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.experiments import background
from firstline.orchestrator.experiments.prompt_versions import find_skill, versions
from firstline.orchestrator.experiments.tune_report import KeptTuning, TuningOrigin
from firstline.orchestrator.quality.calibrations import standings
from firstline.orchestrator.store import tunings
from firstline.orchestrator.web.pages import every_page
from firstline.orchestrator.web.size import UPLOADS
from firstline.schemas.access import Role
from firstline.schemas.skill import Example
from tests.unit.orchestrator.web.test_experiments import Visitor
from tests.unit.orchestrator.web.test_savings_shown import STEP, TUNED
from tests.unit.web_house import build_house

ROWS = "\n".join(json.dumps({"id": str(n), "text": f"text {n}", "gold": "abc"[n % 3]}) for n in range(300))
SHOWN = (Example(input={"text": "one"}, output={"label": "a"}),)
FOUND = STEP.evolve(top_model="openai/big", threshold=0.5, signal="mean_logprob", labels=120, examples=SHOWN)


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def kept(*, origin=True, step=FOUND) -> int:
    """Keep what a tuning of the house's skill found; return its number."""
    catalogue = load_catalogue()
    made = TuningOrigin(tenant="default", profile=catalogue.profile("house"), skills=(catalogue.skill("sort"),))
    report = TUNED.evolve(workflow="sort", steps=(step,)).model_dump(mode="json")
    told = made.model_dump(mode="json") if origin else None
    with api.engine().db.writing() as tx:
        return tunings.insert(tx, tenant="default", workflow="sort", report=report, origin=told)


class Tuner(Visitor):
    """Somebody at the tunings' pages."""

    def preview(self, **fields):
        form = {"texts": ROWS, "from-text": "text", "gold": "gold", "field": "label"}
        return self.post("/tune/preview", **form, **fields).text

    def apply(self, number, **fields):
        return self.post(f"/tunings/{number}/apply", **fields)


def shown_versions(page) -> dict[str, str]:
    found = re.findall(r'name="(version-[^"]+)" value="([^"]*)"', page.text)
    return dict(found)


def test_what_it_costs_at_most_stands_before_the_button(house):
    seen = Tuner(house).preview(labels="100")
    assert re.search(r"up to 100 rows are answered by openai/big, and by 2 cheaper models; this costs at most \$", seen)
    assert "Expected cost" not in seen


def test_more_labels_cost_more(house):
    visitor = Tuner(house)
    few, many = (float(re.search(r"at most \$([\d.]+)", visitor.preview(labels=count))[1]) for count in ("80", "200"))
    assert few < many


@pytest.mark.parametrize(
    ("fields", "said"), [({"labels": "5"}, "label"), ({"max_loss": "0.001"}, "loss"), ({"delta": "7"}, "delta: ")]
)
def test_what_cannot_be_certified_is_said_before_anything_begins(house, fields, said):
    visitor = Tuner(house)
    form = {"texts": ROWS, "from-text": "text", "gold": "gold", "field": "label"} | fields
    for path in ("/tune/preview", "/tune"):
        page = visitor.post(path, **form)
        assert said in re.search(r'<p class="wrong lines" role="alert">(.*?)</p>', page.text, re.S)[1]
    assert page.status_code == 422
    assert background.listing(None, tenant=None, limit=9) == []


def test_a_former_jobs_rows_are_looked_at(house):
    job = house.submit(4)
    visitor = Tuner(house)
    del visitor.form["from-text"]
    seen = visitor.post("/tune/preview", texts="", job=job).text
    assert "text 3" in seen


def test_applying_asks_first_and_then_writes_what_was_shown(house):
    number, visitor = kept(), Tuner(house, Role.ADMIN)
    before = find_skill("sort").skill
    question = visitor.apply(number)
    assert "+name: sort-tuned" in question.text
    assert "+examples:" in question.text
    assert "sort-tuned" not in load_catalogue().profiles.entries
    assert find_skill("sort").skill == before
    done = visitor.apply(number, sure="yes", **shown_versions(question))
    assert "1 calibration stored" in done.text
    applied = load_catalogue().profile("sort-tuned")
    assert [[model.name for model in tier.models] for tier in applied.ladder] == [["openai/small"], ["openai/big"]]
    live = find_skill("sort")
    assert live.skill.examples == SHOWN
    assert [(one.version, one.live) for one in versions(live)] == [(before.version + 1, True), (before.version, False)]
    (calibration,) = standings(tenant=None)
    assert (calibration.skill_version, calibration.threshold, calibration.job) == (live.skill.version, 0.5, None)


def test_a_file_that_was_changed_meanwhile_is_asked_about_again(house):
    number, visitor = kept(), Tuner(house, Role.ADMIN)
    seen = shown_versions(visitor.apply(number))
    text = (house.home / "tiers" / "house.yaml").read_text().replace("name: house", "name: sort-tuned")
    (house.home / "tiers" / "sort-tuned.yaml").write_text(f"# mine\n{text}")
    again = visitor.apply(number, sure="yes", **seen)
    assert "A file was changed since you looked" in again.text
    assert (house.home / "tiers" / "sort-tuned.yaml").read_text().startswith("# mine")
    assert standings(tenant=None) == []
    visitor.apply(number, sure="yes", **shown_versions(again))
    assert (house.home / "tiers" / "sort-tuned.yaml").read_text().startswith("# mine")
    assert len(load_catalogue().profile("sort-tuned").models) == 2


def test_a_skill_that_is_another_by_now_is_not_promised_anything(house):
    number, visitor = kept(step=FOUND.evolve(examples=())), Tuner(house, Role.ADMIN)
    file = house.home / "skills" / "sort.yaml"
    file.write_text(file.read_text().replace("Say what", "Tell what"))
    refused = visitor.apply(number)
    assert refused.status_code == 422
    assert "another now than the one that was tuned" in refused.text


def test_who_may_not_write_skills_does_not_apply(house):
    number = kept()
    assert Tuner(house, Role.OPERATOR).apply(number).status_code == 403
    theirs = Tuner(house, Role.VIEWER, tenant="theirs").client
    assert theirs.get(f"/tunings/{number}").status_code == 404
    assert theirs.get(f"/v1/tunings/{number}").status_code == 404


def test_what_an_earlier_version_found_is_shown_and_not_applied(house):
    number, visitor = kept(origin=False), Tuner(house, Role.ADMIN)
    page = visitor.client.get(f"/tunings/{number}").text
    assert "An earlier version made it" in page
    assert "/apply" not in page
    assert visitor.apply(number).status_code == 422


def test_an_origin_is_read_as_it_was_kept(house):
    number = kept()
    with api.engine().db.reading() as tx:
        row = tunings.get(tx, tuning=number, tenant=None)
    read = KeptTuning(number=number, report=row["report"], origin=row["origin"])
    assert read.origin.profile == load_catalogue().profile("house")
    assert read.origin.skill("sort").digest == load_catalogue().skill("sort").digest


def test_every_form_that_takes_a_file_may_be_as_large_as_an_upload():
    routes = [route for router in every_page() for route in router.routes]
    taking = {route.path for route in routes if any(one.name == "file" for one in route.dependant.body_params)}
    assert "/tune" in taking
    assert taking <= set(UPLOADS)
