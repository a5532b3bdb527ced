"""Counters of what is judged: kept in memory, and added to one hash in Redis every two seconds.

Counting calls in SQL at each scrape would read every attempt there ever was. The report and the money page do so for
one job or one month and are exact; of a counter, an orchestrator that is killed loses what it had not yet handed over.
"""

import json
import logging
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import redis
from redis.exceptions import RedisError

from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import UNANSWERED, WRONG_ANSWERS, Attempt

_log = logging.getLogger(__name__)

#: Seconds between two times that counts are handed over.
FLUSH_S = 2.0
#: Upper bounds of the histogram of a call's latency, in seconds.
BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
#: Series of a deployment, beyond which skills that are new are counted as one: whoever submits may name some.
MOST_SERIES, OTHERS = 20_000, "(others)"
#: Series beyond those, after which so are tiers and models: they are named by profiles, and by what workers send.
MORE_OF_MODELS = 5_000
#: Where a skill's name stands in a counter, and where those of a tier and a model, or a word of a worker's.
_SKILL_AT = {"escalations": (2,), "answers": (1,), "task_cost_usd": (1,)}
_MODEL_AT = {"calls": (1, 2, 3), "verdicts": (1, 2), "escalations": (1,), "answers": (2,)} | dict.fromkeys(
    ("tokens", "unpriced", "cost_usd", "latency", "latency_sum"), (1, 2)
)
#: Name of a counter, then the values of its labels.
Count = tuple[str, ...]


@dataclass
class Tally:
    """Counts attempts; `flush` hands them over."""

    _counts: "defaultdict[Count, float]" = field(default_factory=lambda: defaultdict(float))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, attempts: Iterable[Attempt]) -> None:
        """Count attempts that were recorded."""
        with self._lock:
            for attempt in attempts:
                for count, amount in _counted(attempt):
                    self._counts[count] += amount

    def flush(self, client: redis.Redis, keys: Keys) -> None:
        """Add what was counted to Redis; where that fails it is kept for the next time."""
        with self._lock:
            told, self._counts = self._counts, defaultdict(float)
        counts: Mapping[Count, float] = told
        if not counts:
            return
        try:
            counts = _folded(client, keys, counts)
            pipe = client.pipeline(transaction=True)
            for count, amount in counts.items():
                pipe.hincrbyfloat(keys.tally, json.dumps(count), amount)
            pipe.execute()
        except (RedisError, OSError) as error:
            _log.warning("tally.kept", extra={"error": str(error)})
            with self._lock:
                for count, amount in counts.items():
                    self._counts[count] += amount


def _folded(client: redis.Redis, keys: Keys, counts: Mapping[Count, float]) -> Mapping[Count, float]:
    """Return counts with the names that there is no more room for as one."""
    for most, places in ((MOST_SERIES, _SKILL_AT), (MOST_SERIES + MORE_OF_MODELS, _MODEL_AT)):
        if int(client.hlen(keys.tally)) + len(counts) > most:
            counts = _without_new(client, keys, counts, places)
    return counts


def _without_new(
    client: redis.Redis, keys: Keys, counts: Mapping[Count, float], places: Mapping[str, tuple[int, ...]]
) -> Mapping[Count, float]:
    found: defaultdict[Count, float] = defaultdict(float, counts)
    named = [count for count in counts if places.get(count[0])]
    known = client.hmget(keys.tally, [json.dumps(count) for count in named]) if named else []
    for count, value in zip(named, known, strict=True):
        if value is None:
            amount, at = found.pop(count), places[count[0]]
            found[tuple(OTHERS if place in at else part for place, part in enumerate(count))] += amount
    return found


def read(client: redis.Redis, keys: Keys) -> Mapping[Count, float]:
    """Return every counter of the deployment since its hash was begun."""
    found: dict[str, str] = client.hgetall(keys.tally)  # type: ignore[assignment] # the client is not asynchronous
    return {tuple(json.loads(name)): float(amount) for name, amount in found.items()}


def _outcome(attempt: Attempt) -> str:
    """Return what came of asking for an answer."""
    if attempt.error in UNANSWERED:
        return "none"
    if attempt.error in WRONG_ANSWERS:
        return "wrong"
    return "unsure" if attempt.error is not None else "good"


def _counted(attempt: Attempt) -> Iterable[tuple[Count, float]]:
    """Yield what an attempt adds to; unknown tokens and dollars add nothing, and are counted as unknown."""
    tier, model = attempt.tier, attempt.model
    yield ("calls", tier, model, attempt.purpose, attempt.error or "", "hit" if attempt.from_cache else "miss"), 1
    if attempt.purpose == "answer" and attempt.verdict:
        yield ("verdicts", tier, attempt.verdict), 1
        if attempt.verdict == "escalate":
            yield ("escalations", tier, attempt.skill), 1
        yield ("answers", attempt.skill, model, _outcome(attempt)), 1
    if attempt.from_cache:
        return
    usage = attempt.usage
    for kind, tokens in (
        ("input", usage.input_tokens),
        ("cached_input", usage.cached_tokens),
        ("cache_write", usage.cache_write_tokens),
        ("output", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
    ):
        if tokens:
            yield ("tokens", tier, model, kind), tokens
    if attempt.cost_usd is None:
        yield ("unpriced", tier, model), 1
    elif attempt.cost_usd:
        yield ("cost_usd", tier, model), attempt.cost_usd
        yield ("task_cost_usd", attempt.skill), attempt.cost_usd
    yield ("latency", tier, model, str(bisect_left(BUCKETS_S, attempt.latency_s))), 1
    yield ("latency_sum", tier, model), attempt.latency_s
