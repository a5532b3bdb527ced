"""A snapshot of the deployment as Prometheus metrics."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from firstline.orchestrator.core.counters import BUCKETS_S, Count
from firstline.orchestrator.monitoring.snapshot import InRedis, InSql, Snapshot
from firstline.schemas.job import JobState
from firstline.schemas.scaling import TierLoad

#: Counter in Redis -> name of the metric, its labels, what it tells.
_COUNTERS = {
    "calls": ("firstline_calls", ("tier", "model", "purpose", "error", "cache"), "Calls to models and tools."),
    "verdicts": ("firstline_verdicts", ("tier", "verdict"), "What followed from answers."),
    "escalations": ("firstline_escalations", ("tier", "skill"), "Answers of a tier that climbed to the next."),
    "tokens": (
        "firstline_tokens",
        ("tier", "model", "kind"),
        "Tokens; cached_input is a part of input, reasoning a part of output.",
    ),
    "answers": (
        "firstline_answers",
        ("skill", "model", "outcome"),
        "Answers asked for: good, wrong, unsure, or none; the error rate is wrong / (good + wrong + unsure).",
    ),
    "task_cost_usd": ("firstline_task_cost_usd", ("skill",), "Dollars by type of task, all its calls."),
    "cost_usd": ("firstline_cost_usd", ("tier", "model"), "Dollars of the calls whose price is known."),
    "unpriced": ("firstline_unpriced_calls", ("tier", "model"), "Calls whose price is unknown."),
}
#: Name of a gauge by tier, what it tells, and its value; None is left out.
_LOADS: tuple[tuple[str, str, Callable[[TierLoad], float | None]], ...] = (
    ("firstline_queued_subtasks", "Subtasks in messages that no worker holds.", lambda load: load.queued),
    ("firstline_running_subtasks", "Subtasks in messages that a live worker holds.", lambda load: load.running),
    (
        "firstline_queue_oldest_seconds",
        "Age of the oldest message that no worker holds; 0 when there is none.",
        lambda load: load.oldest_s or 0.0,
    ),
    ("firstline_workers", "Live worker processes.", lambda load: load.workers),
    ("firstline_slots", "Calls that the live workers can make at once.", lambda load: load.slots),
    ("firstline_load_ratio", "(queued + running) / slots; missing without a worker.", lambda load: load.load),
    (
        "firstline_wanted_workers",
        "Workers whose slots would hold what is queued and running.",
        lambda load: load.wanted_workers,
    ),
)


@dataclass(frozen=True)
class Deployment(Collector):
    """What Prometheus scrapes."""

    snapshot: Snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; what could not be asked for is missing, and its `_up` is 0."""
        redis, sql = self.snapshot.redis, self.snapshot.sql
        yield GaugeMetricFamily("firstline_redis_up", "Whether Redis answers.", value=redis is not None)
        yield GaugeMetricFamily("firstline_database_up", "Whether the database answers.", value=sql is not None)
        if redis is not None:
            yield from _of_redis(redis)
        if sql is not None:
            yield from _of_sql(sql)


def _of_sql(sql: InSql) -> Iterator[Metric]:
    for name, tells, value in _LOADS:
        told = ((tier, value(load)) for tier, load in sorted(sql.loads.items()))
        yield _gauge(name, tells, "tier", {tier: amount for tier, amount in told if amount is not None})
    jobs = {state.value: sql.jobs.get(state.value, 0) for state in JobState}
    yield _gauge("firstline_jobs", "Jobs on record.", "state", jobs)
    yield _gauge("firstline_parked_subtasks", "Subtasks that wait for no worker.", "state", sql.parked)
    yield GaugeMetricFamily(
        "firstline_unreleased_items", "Items that wait for room in their job's window.", value=sql.unreleased
    )
    yield _gauge("firstline_audited_answers", "Accepted answers that were drawn for audit.", "result", sql.audits)


def _of_redis(redis: InRedis) -> Iterator[Metric]:
    crowd = redis.crowd
    leads = "Whether an orchestrator leads, so that lost work is sent again."
    yield GaugeMetricFamily("firstline_orchestrator_leading", leads, value=crowd.led)
    silent = "Seconds since a worker's last sign of life."
    yield _gauge("firstline_worker_silent_seconds", silent, "worker", crowd.silent_s)
    yield _gauge("firstline_queue_messages", "Messages that nobody has taken.", "queue", redis.messages)
    for counter, (name, labels, tells) in _COUNTERS.items():
        family = CounterMetricFamily(name, tells, labels=labels)
        for values, amount in _named(redis.counts, counter):
            family.add_metric(values, amount)
        yield family
    yield _latency(redis.counts)


def _latency(counts: Mapping[Count, float]) -> Metric:
    family = HistogramMetricFamily("firstline_call_seconds", "Latency of calls.", labels=("tier", "model"))
    buckets: defaultdict[Count, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS_S) + 1))
    for (tier, model, place), amount in _named(counts, "latency"):
        buckets[tier, model][int(place)] += amount
    bounds = [*(str(bound) for bound in BUCKETS_S), "+Inf"]
    for values, found in sorted(buckets.items()):
        sums = list(zip(bounds, accumulate(found), strict=True))
        family.add_metric(values, sums, sum_value=counts.get(("latency_sum", *values), 0.0))
    return family


def _named(counts: Mapping[Count, float], counter: str) -> Iterable[tuple[Count, float]]:
    return sorted(
        (labels, amount) for (name, *rest), amount in counts.items() if name == counter for labels in [tuple(rest)]
    )


def _gauge(name: str, tells: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, tells, labels=[label])
    for value, amount in values.items():
        family.add_metric([value], amount)
    return family
