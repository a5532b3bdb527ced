"""The API keeps to its own OpenAPI description, whatever is sent to it."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from config.settings import get_settings
from orchestrator import api
from tests.unit.web_house import build_house


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield build_house(tmp_path_factory.mktemp("web"), patch)
        api.engine().db.close()
    get_settings.cache_clear()


@pytest.fixture
def spec(house):
    return schemathesis.openapi.from_asgi("/openapi.json", house.app)


schema = schemathesis.pytest.from_fixture("spec")


@schema.parametrize()
@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_description_names(case):
    case.call_and_validate()
