"""The composition root of a worker process: everything that answering needs, made once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis.asyncio

from config.keys import Keys
from schemas.batch import Batch
from schemas.tier import Tier
from workers.estimate import Estimator
from workers.gate import Gate
from workers.gateway import Gateway
from workers.paid import PaidAnswers


@dataclass
class Worker:
    """What one worker process is made of."""

    name: str
    gateway: Gateway
    client: "redis.asyncio.Redis"
    keys: Keys
    paid: PaidAnswers
    gate: Gate
    estimator: Estimator = field(default_factory=Estimator)
    stopping: bool = False
    _slots: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    _batches: dict[str, str] = field(default_factory=dict)
    _calls: dict[str, set["asyncio.Task[object]"]] = field(default_factory=dict)

    def slots(self, tier: Tier) -> asyncio.Semaphore:
        """Return what bounds the calls in flight on a tier in this process."""
        slots = self._slots.get(tier.name)
        if slots is None:
            slots = self._slots[tier.name] = asyncio.Semaphore(tier.concurrency)
        return slots

    def holds(self, batch: str) -> bool:
        """Return whether this process is working on a batch."""
        return batch in self._batches

    @property
    def jobs(self) -> Counter[str]:
        """Batches in work by job."""
        return Counter(self._batches.values())

    @contextmanager
    def tracking(self, batch: Batch) -> Iterator[None]:
        """Count a batch among those in work."""
        self._batches[batch.id] = batch.job
        try:
            yield
        finally:
            self._batches.pop(batch.id, None)

    @contextmanager
    def calling(self, job: str) -> Iterator[None]:
        """Make the current task one that cancelling its job cancels."""
        task = asyncio.current_task()
        tasks = self._calls.setdefault(job, set())
        if task is not None:
            tasks.add(task)
        try:
            yield
        finally:
            if task is not None:
                tasks.discard(task)
            if not tasks:
                self._calls.pop(job, None)

    def cancel(self, job: str) -> None:
        """Cancel the running calls of a job; call it on the loop."""
        for task in tuple(self._calls.get(job, ())):
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel every running call; call it on the loop."""
        for job in tuple(self._calls):
            self.cancel(job)
