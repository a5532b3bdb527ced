"""Who may look at the figures of the whole deployment, and what they see."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from firstline.schemas.access import Role
from tests.unit.web_house import build_house

OWN = "metrics-token-for-tests"
PATHS = ("/metrics", "/v1/scaling")


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch, loopback=False, METRICS_TOKEN=OWN)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.SUBMITTER, Role.OPERATOR])
def test_whoever_sees_one_tenant_does_not_see_all_of_them(house, path: str, role: Role) -> None:
    assert house.client(house.token(role)).get(path).status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_who_has_no_token_is_asked_for_one(house, path: str) -> None:
    refused = house.client().get(path)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"
    assert house.client("metrics-token-for-test").get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_an_administrator_and_the_token_for_it_are_let_in(house, path: str) -> None:
    assert house.client(house.token()).get(path).status_code == 200
    assert house.client(OWN).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/skills"])
def test_the_token_for_metrics_is_good_for_nothing_else(house, path: str) -> None:
    assert house.client(OWN).get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_without_any_token_this_machine_is_let_in(tmp_path, monkeypatch, path: str) -> None:
    assert build_house(tmp_path, monkeypatch).client().get(path).status_code == 200


def test_the_tiers_of_the_deployments_own_profile_are_there_while_nothing_runs(house) -> None:
    tiers = house.client(OWN).get("/v1/scaling").json()["tiers"]
    assert set(tiers) == {"cheap", "frontier"}
    assert tiers["cheap"] == {
        "tier": "cheap",
        "queue": "cheap",
        "workers": 0,
        "slots": 0,
        "queued": 0,
        "running": 0,
        "oldest_s": None,
        "load": None,
        "wanted_workers": 0,
    }


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0", "*/*"])
def test_metrics_come_in_the_format_that_is_asked_for(house, accept: str) -> None:
    answer = house.client(OWN).get("/metrics", headers={"accept": accept})
    kind = "application/openmetrics-text" if "openmetrics" in accept else "text/plain"
    assert answer.headers["content-type"].startswith(kind)
    assert answer.text.endswith("# EOF\n") == ("openmetrics" in accept)


def test_a_submitted_job_is_seen(house) -> None:
    house.submit(token=house.token())
    found = {
        (sample.name, sample.labels.get("state")): sample.value
        for family in text_string_to_metric_families(house.client(OWN).get("/metrics").text)
        for sample in family.samples
    }
    assert found["firstline_jobs", "submitted"] == 1
