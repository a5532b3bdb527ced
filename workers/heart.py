"""A worker's signs of life: who it is and what it holds, about once a second; and what it hears in return."""

import json
import logging
import threading
import time
from dataclasses import dataclass, field

import redis.asyncio
from redis.exceptions import RedisError

from config.settings import Settings
from workers.loop import Loop
from workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass
class Heart:
    """Beats on a thread of its own, so that a busy loop is not taken for a dead one."""

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
        """Take nothing more on; let running calls end, and cancel them when the grace period is over."""
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
            self.loop.run(self._leave())
        except (RedisError, OSError):
            _log.warning("heart.no_goodbye", extra={"worker": self.worker.name})

    def _beat(self) -> None:
        while not self._stopped.is_set():
            try:
                self.loop.run(self._sign())
            except (RedisError, OSError) as error:
                _log.warning("heart.unheard", extra={"worker": self.worker.name, "error": str(error)})
            self._stopped.wait(self.settings.heartbeat_s)

    async def _sign(self) -> None:
        worker, keys = self.worker, self.worker.keys
        jobs = worker.jobs
        sign = {
            "worker": worker.name,
            "queues": self.queues,
            "threads": self.threads,
            "jobs": jobs,
            "stopping": worker.stopping,
            "at": time.time(),
        }
        pipe: redis.asyncio.client.Pipeline = worker.client.pipeline(transaction=False)
        pipe.set(keys.heartbeat(worker.name), json.dumps(sign), px=int(self.settings.dead_after_s * 1000))
        pipe.zadd(keys.workers, {worker.name: time.time()})
        pipe.zremrangebyscore(keys.workers, "-inf", time.time() - 60)
        for job in jobs:
            pipe.exists(keys.cancel(job))
        said = await pipe.execute()
        for job, cancelled in zip(jobs, said[3:], strict=True):
            if cancelled:
                worker.cancel(job)
        await worker.gate.refresh()

    async def _leave(self) -> None:
        keys = self.worker.keys
        await self.worker.client.delete(keys.heartbeat(self.worker.name))
        await self.worker.client.zrem(keys.workers, self.worker.name)
