"""A deployment at one moment, for those who watch it: a fixed number of small queries, whatever was done before."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from firstline.config.queues.app import ORCHESTRATOR, STEPS
from firstline.orchestrator.core import counters
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.monitoring.live_workers import Crowd, look
from firstline.orchestrator.monitoring.tier_load import loads
from firstline.orchestrator.store import gauges
from firstline.schemas.errors import FirstlineError
from firstline.schemas.scaling import TierLoad
from firstline.schemas.tier import Profile

#: Seconds for which a snapshot serves whoever asks, and for which its count of audits does.
_FRESH_S, _AUDITS_S = 1.0, 60.0


@dataclass(frozen=True)
class InRedis:
    """What Redis knows."""

    crowd: Crowd
    #: Queue -> messages that nobody has taken.
    messages: Mapping[str, int]
    counts: Mapping[counters.Count, float]


@dataclass(frozen=True)
class InSql:
    """What the database knows."""

    loads: Mapping[str, TierLoad]
    jobs: Mapping[str, int]
    parked: Mapping[str, int]
    unreleased: int
    audits: Mapping[str, int]


@dataclass(frozen=True)
class Snapshot:
    """A deployment at one moment; None: the server that knows could not be asked."""

    redis: InRedis | None
    sql: InSql | None


@dataclass
class Lookout:
    """Takes snapshots, at most one a second however many ask."""

    engine: Callable[[], Context]
    #: Of the deployment's own ladder; None while its file cannot be used.
    profile: Callable[[], Profile | None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[float, Snapshot] | None = None
    _audits: tuple[float, Mapping[str, int]] | None = None

    def look(self) -> Snapshot:
        """Return how things stand, as of a second ago at most."""
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > _FRESH_S:
                self._last = (time.monotonic(), self._take())
            return self._last[1]

    def _take(self) -> Snapshot:
        engine, profile = self.engine(), self.profile()
        in_redis = _ask_redis(engine, profile)
        try:
            return Snapshot(in_redis, self._ask_sql(engine, profile, in_redis))
        except FirstlineError:
            return Snapshot(in_redis, None)

    def _ask_sql(self, engine: Context, profile: Profile | None, in_redis: InRedis | None) -> InSql:
        crowd = in_redis.crowd if in_redis else Crowd()
        with engine.db.reading() as tx:
            if self._audits is None or time.monotonic() - self._audits[0] > _AUDITS_S:
                self._audits = (time.monotonic(), gauges.audits(tx))
            return InSql(
                loads=loads(engine, tx, crowd=crowd, profile=profile),
                jobs=gauges.jobs_by_state(tx),
                parked=gauges.parked(tx),
                unreleased=gauges.unreleased(tx),
                audits=self._audits[1],
            )


def _ask_redis(engine: Context, profile: Profile | None) -> InRedis | None:
    keys = engine.settings.keys
    try:
        crowd = look(engine.redis, keys)
        declared = [tier.queue for tier in profile.tiers] if profile else []
        queues = {ORCHESTRATOR, *crowd.by_queue, *declared}
        return InRedis(crowd, _messages(engine, sorted(queues)), counters.read(engine.redis, keys))
    except (RedisError, OSError):
        return None


def _messages(engine: Context, queues: list[str]) -> dict[str, int]:
    """Return queue -> messages, over the lists that Kombu keeps for its priorities."""
    pipe = engine.redis.pipeline(transaction=False)
    for queue in queues:
        name = engine.settings.keys.queue(queue)
        for step in STEPS:
            pipe.llen(f"{name}\x06\x16{step}" if step else name)
    found: list[int] = pipe.execute()
    return {queue: sum(found[n * len(STEPS) : (n + 1) * len(STEPS)]) for n, queue in enumerate(queues)}
