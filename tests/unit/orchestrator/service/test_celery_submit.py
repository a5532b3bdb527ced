"""`firstline.submit` as a plain Celery producer sends it: one job a message, and errors in sentences."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.service.celery_submit import submit_message
from firstline.schemas.errors import UserError
from tests.unit.web_house import build_house

ITEMS = [{"id": "a", "text": "one"}, {"id": "b", "text": "two"}]


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def test_a_message_becomes_a_job_of_the_deployments_own_profile():
    job = submit_message({"workflow": "sort", "options": {"priority": "low"}}, ITEMS, message="m1")
    assert api.status(job).items == 2
    assert api.profile(job).name == "house"


def test_a_message_that_comes_twice_is_one_job():
    first, again, other = (submit_message({"workflow": "sort"}, ITEMS, message=name) for name in ("m1", "m1", "m2"))
    assert first == again != other


def test_a_key_of_the_producers_own_counts_over_messages_and_is_the_tenants():
    request = {"workflow": "sort", "idempotency_key": "k"}
    first, again = (submit_message(request, ITEMS, message=name) for name in ("m1", "m2"))
    other = submit_message(request | {"options": {"tenant": "other"}}, ITEMS, message="m3")
    assert first == again != other


def test_a_goal_is_an_item_of_its_own():
    assert api.status(submit_message({"goal": "Say what these are about."}, [], message="m")).items == 1


@pytest.mark.parametrize(
    ("request_", "items", "sentence"),
    [
        pytest.param(None, ITEMS, "request: expected a mapping", id="no request"),
        pytest.param({"workflow": "srot"}, ITEMS, "did you mean 'sort'", id="a typo"),
        pytest.param({"workflow": "sort", "wokers": 3}, ITEMS, "request.wokers", id="an unknown field"),
        pytest.param({"workflow": "sort", "options": {"budget_usd": -1}}, ITEMS, "options.budget_usd", id="a budget"),
        pytest.param({"workflow": "../x.yaml"}, ITEMS, "got the path '../x.yaml'", id="a path"),
        pytest.param({"workflow": "sort", "options": {"profile": "recorded"}}, ITEMS, "services", id="services"),
        pytest.param({"workflow": "sort"}, "text", "items: expected a list", id="items that are a text"),
        pytest.param({"workflow": "sort"}, [1], "items[0]: expected a mapping", id="an item that is no mapping"),
        pytest.param({"workflow": "sort"}, [], "no items", id="no items"),
        pytest.param({"workflow": "sort"}, [{"id": "a"}, {"id": "a"}], "stands twice", id="an id that comes twice"),
    ],
)
def test_what_will_not_do_is_told_in_a_sentence(request_, items, sentence):
    with pytest.raises(UserError, match=None) as told:
        submit_message(request_, items, message="m")
    assert sentence in str(told.value)


def test_a_key_is_free_again_when_its_job_never_got_all_its_items():
    request = {"workflow": "sort", "idempotency_key": "k"}
    with pytest.raises(UserError, match="stands twice"):
        submit_message(request, [{"id": "a"}, {"id": "a"}], message="m1")
    assert api.status(submit_message(request, ITEMS, message="m2")).items == 2
