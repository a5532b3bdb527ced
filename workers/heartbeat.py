"""A worker's signs of life: who it is and what it holds, about once a second; and what it hears in return."""

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import redis
from redis.exceptions import RedisError

from firstline.config.settings import Settings
from firstline.config.shared_state.redis import connect
from firstline.workers.durability.claims import CLAIM_S, is_anothers
from firstline.workers.loop.event_loop import Loop
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)

#: Seconds after which a silent worker is no longer listed.
_LISTED_S = 60

# KEYS: heartbeat, list of workers. ARGV: worker, sign, milliseconds, seconds that it stays listed.
# Redis's clock is the one that all machines share.
_SIGN = """
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
"""


@dataclass
class Heart:
    """Beats on a thread and a connection of its own, so that a busy loop is not taken for a dead one."""

    worker: Worker
    loop: Loop
    settings: Settings
    queues: tuple[str, ...]
    threads: int
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._thread = threading.Thread(target=self._beat, name="firstline-heart", daemon=True)
        self._thread.start()

    def hand_back(self) -> None:
        """Begin no more calls; let running ones end, and cancel them when the grace period is over."""
        self.worker.stopping = True
        timer = threading.Timer(self.settings.grace_s, self.loop.soon, args=(self.worker.cancel_all,))
        timer.daemon = True
        timer.start()

    def stop(self) -> None:
        """Say goodbye: work that is still claimed can be sent to others at once."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        try:
            self._leave(connect(self.settings.redis_url))
        except (RedisError, OSError):
            _log.warning("heart.no_goodbye", extra={"worker": self.worker.name})

    def _beat(self) -> None:
        client, dead_after_s = connect(self.settings.redis_url), self.settings.dead_after_s
        self.worker.dead_after_s = dead_after_s
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self.sign(client)
            except (RedisError, OSError) as error:
                _log.warning("heart.unheard", extra={"worker": self.worker.name, "error": str(error)})
                # An error that took so long may be that of a connection that was lost in this process's sleep.
                is_beat = time.monotonic() - began < dead_after_s
            else:
                is_beat = True
            if is_beat:
                self.worker.beat_at = time.monotonic()
            self.loop.begin(self.worker.gate.refresh())
            self.loop.soon(self.adapt)
            self._stopped.wait(self.settings.heartbeat_s)

    def adapt(self) -> None:
        """Fit the places for calls to the loop's load; on the loop, where a rest that has just ended is counted."""
        self.worker.places.adapt(self.loop.load())

    def sign(self, client: redis.Redis) -> None:
        """Show that the worker lives and what it holds; hear which jobs were cancelled."""
        worker, keys, jobs, batches = self.worker, self.worker.keys, tuple(self.worker.jobs), self.worker.batches
        pipe = client.pipeline(transaction=False)
        pipe.eval(
            _SIGN,
            2,
            keys.heartbeat(worker.name),
            keys.workers,
            worker.name,
            json.dumps(self._told()),
            str(int(self.settings.dead_after_s * 1000)),
            str(_LISTED_S),
        )
        for job in jobs:
            pipe.exists(keys.cancel(job))
        for batch in batches:
            # A Redis that was wiped has forgotten who holds what.
            pipe.set(keys.claim(batch), worker.name, nx=True, ex=CLAIM_S)
        for batch in batches:
            pipe.get(keys.claim(batch))
        said: Sequence[object] = pipe.execute()
        for job, cancelled in zip(jobs, said[1:], strict=False):
            if cancelled:
                self.loop.soon(worker.cancel, job)
        for batch, text in zip(batches, said[len(said) - len(batches) :], strict=True):
            if isinstance(text, str) and is_anothers(text, worker.name):
                worker.give_away(batch)

    def _told(self) -> dict[str, object]:
        worker = self.worker
        return {
            "worker": worker.name,
            "queues": self.queues,
            "threads": self.threads,
            "jobs": worker.jobs,
            "batches": worker.batches,
            "stopping": worker.stopping,
        }

    def _leave(self, client: redis.Redis) -> None:
        keys = self.worker.keys
        client.delete(keys.heartbeat(self.worker.name))
        client.zrem(keys.workers, self.worker.name)
