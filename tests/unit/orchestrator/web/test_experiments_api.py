"""Calibrations and tunings over HTTP, and an item asked again of another model."""

import time

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.experiments import background
from firstline.schemas.access import Role
from tests.unit.orchestrator.web.test_experiments import RESULT, played  # noqa: F401 -- a fixture
from tests.unit.web_house import build_house

ITEMS = [{"id": f"i{n}", "text": f"text {n}"} for n in range(300)]


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False)


@pytest.fixture
def operator(house):
    return house.client(house.token(Role.OPERATOR, "a"))


def begun(client, kind="calibrations", **fields):
    return client.post(f"/v1/experiments/{kind}", json={"workflow": "sort", "items": ITEMS} | fields)


def stood(client, run, state):
    """Look until it stands so."""
    for _ in range(200):
        found = client.get(f"/v1/experiments/{run}").json()
        if found["state"] == state:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def test_one_is_begun_watched_and_listed(operator, played):  # noqa: F811
    answer = begun(operator, labels=40, max_loss=0.1, gold="gold", budget_usd=2)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["kind"], said["state"], said["aim"]["labels"]) == ("calibration", "running", 40)
    played.go_on.set()
    found = stood(operator, said["id"], "done")
    assert found["said"][0].endswith(RESULT.said)
    ((order, aim, items),) = played.orders
    assert (len(items), aim.gold, order.request.options.budget_usd) == (300, "gold", 2.0)
    assert [one["id"] for one in operator.get("/v1/experiments").json()] == [said["id"]]
    assert operator.get("/v1/experiments?kind=tuning").json() == []


def test_one_takes_a_former_jobs_rows(house, operator, played):  # noqa: F811
    job = operator.post("/v1/jobs", json={"workflow": "sort", "items": ITEMS[:7]}).json()["job"]
    assert begun(operator, items=[], job=job).status_code == 201
    played.go_on.set()
    for _ in range(200):
        if played.orders:
            break
        time.sleep(0.02)
    assert [item.input["text"] for item in played.orders[0][2]] == [one["text"] for one in ITEMS[:7]]
    theirs = house.client(house.token(Role.OPERATOR, "b"))
    assert begun(theirs, items=[], job=job).status_code == 404


def test_one_is_cancelled_with_its_jobs_and_stays_so(operator, played):  # noqa: F811
    job = operator.post("/v1/jobs", json={"workflow": "sort", "items": ITEMS[:2]}).json()["job"]
    run = begun(operator).json()["id"]
    for _ in range(200):
        if operator.get(f"/v1/experiments/{run}").json()["jobs"]:
            break
        time.sleep(0.02)
    answer = operator.post(f"/v1/experiments/{run}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert api.status(job).state == "cancelled"
    played.go_on.set()
    again = operator.post(f"/v1/experiments/{run}/cancel")
    assert again.status_code == 409
    assert "calibration" in again.json()["detail"]
    assert operator.get(f"/v1/experiments/{run}").json()["state"] == "cancelled"


def test_a_tenant_has_so_many_at_once_and_sees_no_other_ones(house, operator, played):  # noqa: F811
    runs = [begun(operator).json()["id"] for _ in range(background.MOST_AT_ONCE)]
    refused = begun(operator)
    assert refused.status_code == 429
    assert "expected fewer than 4" in refused.json()["detail"]
    theirs = house.client(house.token(Role.OPERATOR, "b"))
    assert begun(theirs).status_code == 201
    assert theirs.get(f"/v1/experiments/{runs[0]}").status_code == 404
    assert theirs.post(f"/v1/experiments/{runs[0]}/cancel").status_code == 404
    assert begun(house.client(house.token(Role.SUBMITTER, "a"))).status_code == 403


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("calibrations", {"items": []}, "expected `items`, or `job`"),
        ("calibrations", {"workflow": None, "goal": "sort them"}, "expected `workflow`"),
        ("calibrations", {"max_loss": 2}, "max_loss"),
        ("tunings", {"items": [{"n": 1}]}, "no item of the input has"),
        ("tunings", {"labels": 20}, "labels"),
    ],
)
def test_what_will_not_do_is_refused_before_anything_begins(operator, kind, fields, said):
    answer = begun(operator, kind, **fields)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert operator.get("/v1/experiments").json() == []


def test_an_item_is_asked_again_and_a_taken_answer_has_to_be_one(house, operator):
    job = operator.post("/v1/jobs", json={"workflow": "sort", "items": ITEMS[:2]}).json()["job"]
    item = f"/v1/jobs/{job}/items/0"
    offers = {one["model"]: one["cost_usd"] for one in operator.get(f"{item}/offers?step=sort").json()}
    assert set(offers) == {"openai/small", "openai/other", "openai/big"}
    assert offers["openai/big"] > offers["openai/small"] > 0
    assert operator.post(f"/v1/jobs/{job}/items/7/answers", json={"step": "sort", "model": "m"}).status_code == 404
    assert operator.post(f"{item}/answers/nobody/take").status_code == 404
    assert operator.get(f"{item}/answers").json() == []
    assert operator.post(f"{item}/answers", json={"step": "sort", "model": "m"}).status_code == 422
    asked = operator.post(f"{item}/answers", json={"step": "sort", "model": "openai/big"})
    assert asked.status_code == 201, asked.text
    second = asked.json()
    assert (second["model"], second["tier"], second["stands"]) == ("openai/big", "frontier", False)
    assert operator.get(f"{item}/answers").json() == [second]
    refused = operator.post(f"{item}/answers/{second['job']['job']}/take")
    assert refused.status_code == 422
    assert "it is no answer to take" in refused.json()["detail"]
    viewer = house.client(house.token(Role.VIEWER, "a"))
    assert viewer.post(f"{item}/answers", json={"step": "sort", "model": "m"}).status_code == 403
    assert house.client(house.token(Role.OPERATOR, "b")).get(f"{item}/answers").status_code == 404


def test_a_comparison_asks_as_whoever_begins_it_and_only_what_looks_at_an_item(tmp_path, monkeypatch):
    house = build_house(tmp_path, monkeypatch)
    (house.home / "tools").mkdir()
    (house.home / "tools" / "shop.yaml").write_text(
        "name: shop\nkind: sql\noptions: {url: 'sqlite:///shop.db'}\ngrants: [{role: admin}]\n"
    )
    plan = {"name": "grow", "kind": "plan", "options": {"goal": "Ask the shop."}}
    body = {"items": [{"text": "x"}], "models": ["openai/small"]}
    one = {"workflow": {"name": "w", "steps": [{"name": "first", "skill": "sort"}, plan]}}
    operator = house.client(house.token(Role.OPERATOR, "one"))
    named = operator.post("/v1/comparisons", json=body | one | {"tools": ["shop"]})
    assert (named.status_code, "not granted to the role operator" in named.text) == (422, True)
    begun = operator.post("/v1/comparisons", json=body | one)
    assert begun.status_code == 201, begun.text
    with api.engine().db.reading() as tx:
        offered = [api.engine().job(tx, job["job"]).plan.offered for job in begun.json()["jobs"]]
    assert offered == [()]
    none = operator.post("/v1/comparisons", json=body | {"workflow": {"name": "w", "steps": [plan]}})
    assert (none.status_code, "no step that looks at one item" in none.text) == (422, True)
