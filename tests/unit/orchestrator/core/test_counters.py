from datetime import UTC, datetime

import fakeredis
import pytest

from firstline.config.shared_state.keys import Keys
from firstline.orchestrator.core import counters
from firstline.orchestrator.core.counters import BUCKETS_S, Tally, read
from firstline.schemas.attempt import Attempt, ErrorKind, Usage

KEYS = Keys("t")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def attempt(**values) -> Attempt:
    usual = {"item": 0, "step": "s", "n": 0, "tier": "cheap", "model": "openai/small", "started_at": AT}
    return Attempt.model_validate(usual | {"latency_s": 0.3, "verdict": "accept", "skill": "sort"} | values)


@pytest.fixture
def client():
    return fakeredis.FakeStrictRedis(server=fakeredis.FakeServer(), decode_responses=True)


def counted(client, *attempts: Attempt) -> dict:
    tally = Tally()
    tally.add(attempts)
    tally.flush(client, KEYS)
    return dict(read(client, KEYS))


def test_an_attempt_adds_its_call_verdict_tokens_dollars_and_latency(client) -> None:
    usage = Usage(input_tokens=100, cached_tokens=40, output_tokens=5)
    assert counted(client, attempt(usage=usage, cost_usd=0.5)) == {
        ("calls", "cheap", "openai/small", "answer", "", "miss"): 1,
        ("verdicts", "cheap", "accept"): 1,
        ("tokens", "cheap", "openai/small", "input"): 100,
        ("tokens", "cheap", "openai/small", "cached_input"): 40,
        ("tokens", "cheap", "openai/small", "output"): 5,
        ("cost_usd", "cheap", "openai/small"): 0.5,
        ("answers", "sort", "openai/small", "good"): 1,
        ("task_cost_usd", "sort"): 0.5,
        ("latency", "cheap", "openai/small", "2"): 1,
        ("latency_sum", "cheap", "openai/small"): 0.3,
    }


def test_an_escalation_is_counted_by_the_skill_that_was_not_up_to_it(client) -> None:
    found = counted(client, attempt(verdict="escalate", error=ErrorKind.OFF_SCHEMA))
    assert found["escalations", "cheap", "sort"] == 1
    assert found["calls", "cheap", "openai/small", "answer", "off_schema", "miss"] == 1


def test_a_call_without_a_price_counts_as_unpriced_and_not_as_free(client) -> None:
    found = counted(client, attempt(cost_usd=None))
    assert found["unpriced", "cheap", "openai/small"] == 1
    assert not any(name == "cost_usd" for name, *_ in found)


def test_an_answer_of_the_cache_counts_as_a_call_and_costs_neither_tokens_nor_time(client) -> None:
    found = counted(client, attempt(from_cache=True, cost_usd=0.0, usage=Usage(input_tokens=9, output_tokens=9)))
    assert set(found) == {
        ("calls", "cheap", "openai/small", "answer", "", "hit"),
        ("verdicts", "cheap", "accept"),
        ("answers", "sort", "openai/small", "good"),
    }


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(ErrorKind.RATE, "none", id="the provider's"),
        pytest.param(ErrorKind.CHECKS, "wrong", id="the answer's"),
        pytest.param(ErrorKind.UNSURE, "unsure", id="no error"),
    ],
)
def test_an_answer_is_counted_by_its_task_and_by_who_is_to_blame(client, error: ErrorKind, outcome: str) -> None:
    assert counted(client, attempt(error=error))["answers", "sort", "openai/small", outcome] == 1


def test_what_weighs_an_answer_has_no_verdict(client) -> None:
    assert not any(name == "verdicts" for name, *_ in counted(client, attempt(purpose="sample", verdict="asked")))


@pytest.mark.parametrize(
    ("latency_s", "place"), [(0.0, 0), (0.1, 0), (0.11, 1), (300.0, len(BUCKETS_S) - 1), (301.0, len(BUCKETS_S))]
)
def test_a_latency_falls_into_the_first_bucket_that_holds_it(client, latency_s: float, place: int) -> None:
    assert counted(client, attempt(latency_s=latency_s))["latency", "cheap", "openai/small", str(place)] == 1


def test_processes_add_to_the_same_counters(client) -> None:
    counted(client, attempt(cost_usd=0.25))
    assert counted(client, attempt(cost_usd=0.25))["cost_usd", "cheap", "openai/small"] == 0.5


def test_what_redis_did_not_take_is_added_once_it_answers_again(client) -> None:
    tally = Tally()
    tally.add([attempt()])
    client.connection_pool.connection_kwargs["server"].connected = False
    tally.flush(client, KEYS)
    client.connection_pool.connection_kwargs["server"].connected = True
    tally.add([attempt()])
    tally.flush(client, KEYS)
    assert read(client, KEYS)["verdicts", "cheap", "accept"] == 2


def test_skills_that_somebody_makes_up_do_not_grow_the_series_without_end(client, monkeypatch) -> None:
    counted(client, attempt(cost_usd=0.25))
    monkeypatch.setattr(counters, "MOST_SERIES", 50)
    for n in range(0, 200, 10):
        found = counted(client, *(attempt(skill=f"made-up-{at}", cost_usd=0.5) for at in range(n, n + 10)))
    assert len(found) <= 50 + 10
    assert sum(value for (name, *_), value in found.items() if name == "task_cost_usd") == 100.25
    assert found["task_cost_usd", counters.OTHERS] > 50
    assert counted(client, attempt(cost_usd=0.25))["task_cost_usd", "sort"] == 0.5


@pytest.mark.parametrize("name", ["model", "tier", "purpose", "verdict"])
def test_neither_do_names_that_a_worker_makes_up_and_skills_leave_room_for_models(client, monkeypatch, name) -> None:
    monkeypatch.setattr(counters, "MOST_SERIES", 50)
    monkeypatch.setattr(counters, "MORE_OF_MODELS", 50)
    usage = Usage(input_tokens=5)
    counted(client, *(attempt(skill=f"made-up-{n}", cost_usd=0.5) for n in range(100)))
    counted(client, attempt(model="openai/new", cost_usd=0.25))
    for n in range(0, 200, 10):
        made_up = (attempt(usage=usage, cost_usd=0.5, **{name: f"made-up-{at}"}) for at in range(n, n + 10))
        found = counted(client, *made_up)
    assert len(found) <= 50 + 50 + 10 * 10
    assert sum(value for (counter, *_), value in found.items() if counter == "cost_usd") == 150.25
    assert found["cost_usd", "cheap", "openai/new"] == 0.25
