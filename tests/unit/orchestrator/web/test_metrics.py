from collections import Counter

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from firstline.orchestrator.monitoring.live_workers import Crowd
from firstline.orchestrator.monitoring.snapshot import InRedis, InSql, Snapshot
from firstline.orchestrator.monitoring.tier_load import tier_loads
from firstline.orchestrator.store.gauges import Out
from firstline.orchestrator.web.metrics import Deployment
from firstline.schemas.tier import Model, Tier, TierKind

CHEAP = Tier(name="cheap", concurrency=32, models=(Model(name="openai/small"),))
BULK = Tier(name="bulk", kind=TierKind.BATCH, models=(Model(name="openai/small"),))
OUTS = [Out("a", "cheap", running=20, queued=60, oldest_s=4.0), Out("b", "cheap", running=0, queued=10, oldest_s=9.0)]


def told(snapshot: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = generate_latest(Deployment(snapshot)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def in_redis(**counts) -> InRedis:
    return InRedis(Crowd(led=True), {"cheap": 3}, {name: float(amount) for name, amount in counts.items()})


def test_load_is_what_is_queued_and_running_by_what_the_workers_can_do_at_once() -> None:
    load = tier_loads({"cheap": CHEAP}, OUTS, workers=Counter(cheap=2))["cheap"]
    assert (load.queued, load.running, load.slots, load.load) == (70, 20, 64, 90 / 64)
    assert load.oldest_s == 9.0
    assert load.wanted_workers == 3


def test_without_a_worker_the_load_is_unknown_and_the_workers_wanted_are_not() -> None:
    load = tier_loads({"cheap": CHEAP}, OUTS, workers=Counter())["cheap"]
    assert load.load is None
    assert load.wanted_workers == 3


def test_an_idle_tier_wants_no_worker() -> None:
    load = tier_loads({"cheap": CHEAP}, [], workers=Counter(cheap=1))["cheap"]
    assert (load.load, load.wanted_workers, load.oldest_s) == (0.0, 0, None)


def test_a_tier_of_a_batch_api_takes_no_slots() -> None:
    assert tier_loads({"bulk": BULK}, [Out("a", "bulk", 0, 500, 1.0)], workers=Counter(bulk=1)) == {}


def test_a_load_that_is_unknown_is_left_out() -> None:
    loads = tier_loads({"cheap": CHEAP}, OUTS, workers=Counter())
    found = told(Snapshot(None, InSql(loads=loads, jobs={}, parked={}, unreleased=0, audits={})))
    assert found["firstline_workers", (("tier", "cheap"),)] == 0
    assert ("firstline_load_ratio", (("tier", "cheap"),)) not in found


def test_buckets_of_the_latency_add_up() -> None:
    counts = {
        ("latency", "cheap", "m", "0"): 2.0,
        ("latency", "cheap", "m", "3"): 5.0,
        ("latency", "cheap", "m", "12"): 1.0,
        ("latency_sum", "cheap", "m"): 400.0,
    }
    found = told(Snapshot(InRedis(Crowd(), {}, counts), None))
    labels = (("model", "m"), ("tier", "cheap"))

    def bucket(bound: str) -> float:
        return found["firstline_call_seconds_bucket", tuple(sorted((("le", bound), *labels)))]

    assert (bucket("0.1"), bucket("0.5"), bucket("1.0"), bucket("300.0"), bucket("+Inf")) == (2, 2, 7, 7, 8)
    assert found["firstline_call_seconds_count", labels] == 8
    assert found["firstline_call_seconds_sum", labels] == 400


@pytest.mark.parametrize(
    ("counter", "values", "metric"),
    [
        (
            ("tokens", "cheap", "m", "output"),
            {"tier": "cheap", "model": "m", "kind": "output"},
            "firstline_tokens_total",
        ),
        (("cost_usd", "cheap", "m"), {"tier": "cheap", "model": "m"}, "firstline_cost_usd_total"),
        (("unpriced", "cheap", "m"), {"tier": "cheap", "model": "m"}, "firstline_unpriced_calls_total"),
        (("verdicts", "cheap", "retry"), {"tier": "cheap", "verdict": "retry"}, "firstline_verdicts_total"),
        (("escalations", "cheap", "sort"), {"tier": "cheap", "skill": "sort"}, "firstline_escalations_total"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_counter_of_redis_becomes_a_counter(counter, values, metric) -> None:
    found = told(Snapshot(InRedis(Crowd(), {}, {counter: 7.0}), None))
    assert found[metric, tuple(sorted(values.items()))] == 7


def test_a_server_that_does_not_answer_is_down_and_the_other_is_told_of() -> None:
    found = told(Snapshot(in_redis(), None))
    assert found["firstline_database_up", ()] == 0
    assert found["firstline_redis_up", ()] == 1
    assert found["firstline_orchestrator_leading", ()] == 1
    assert found["firstline_queue_messages", (("queue", "cheap"),)] == 3
    assert not any(name == "firstline_jobs" for name, _ in found)
