"""The API keeps to its own OpenAPI description, whatever is sent to it (schemathesis, all of its checks)."""

import re

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from firstline.config.settings import Settings, get_settings
from firstline.orchestrator import api
from firstline.orchestrator.web.app import make_app
from tests.unit.web_house import build_house

DESCRIBED = make_app(Settings(), loopback=True).openapi()["paths"]
OPERATIONS = [(method.upper(), path) for path, methods in DESCRIBED.items() for method in methods]
#: What takes no input can be asked for in one way only.
CASES = [
    pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
    for method, path in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if (path, mode) != ("/health", GenerationMode.NEGATIVE)
]
#: What a schema cannot say (a name of the catalogue, a workflow or a goal but not both) is refused with 422, and
#: with 400 where clients of the OpenAI API look for that.
ACCEPTED = ["2xx", "400", "401", "403", "404", "409", "422"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}})


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        house = build_house(tmp_path_factory.mktemp("web"), patch, loopback=False)
        token = house.token()
        house.submit(token=token)
        yield schemathesis.openapi.from_asgi("/openapi.json", house.app, config=CONFIG), token, house.app
        api.engine().db.close()
    get_settings.cache_clear()


def test_no_two_schemas_are_named_alike():
    components = make_app(Settings(), loopback=True).openapi()["components"]["schemas"]
    assert set(components["Fault"]["properties"]) == {"model", "error", "count", "jobs"}
    assert set(components["RequestFault"]["properties"]) == {"at", "text"}


@pytest.mark.parametrize("path", sorted(DESCRIBED))
def test_a_method_that_is_not_there_is_answered_with_those_that_are(described, path):
    _, token, app = described
    client = TestClient(app, headers={"authorization": f"Bearer {token}"})
    for method in ("TRACE", "OPTIONS", "DELETE"):
        if method.lower() in DESCRIBED[path]:
            continue
        answer = client.request(method, re.sub(r"\{[^}]+\}", "x", path))
        assert answer.status_code == 405, (method, answer.text)
        assert {one.lower() for one in answer.headers["allow"].split(", ")} == set(DESCRIBED[path])


@pytest.mark.parametrize("kind", ["calibrations", "tunings"])
def test_where_an_experiment_is_begun_is_no_experiment(described, kind):
    _, token, app = described
    answer = TestClient(app, headers={"authorization": f"Bearer {token}"}).get(f"/v1/experiments/{kind}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_stranger_who_sends_what_is_only_looked_at_is_told_to_bring_a_token(described):
    for path in ("/health", "/metrics", "/openapi.json"):
        assert TestClient(described[2]).delete(path).status_code == 401


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_answer_is_one_that_the_description_names(described, method, path, mode):
    spec, token, _ = described
    operation = spec[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def ask(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"})

    ask()
