"""The composition root of a worker process: everything that answering needs, made once."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis.asyncio

from firstline.config.shared_state.keys import Keys
from firstline.schemas.batch import Batch
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.paid_answers import PaidAnswers
from firstline.workers.durability.recent_trails import RecentTrails
from firstline.workers.durability.response_cache import ResponseCache
from firstline.workers.durability.students import Students
from firstline.workers.estimates.call_estimate import Estimator
from firstline.workers.limits.concurrency import Places
from firstline.workers.limits.gate import Gate
from firstline.workers.limits.prefixes import Prefixes
from firstline.workers.providers.batches.api import BatchApi
from firstline.workers.providers.gateway import Gateway
from firstline.workers.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from firstline.config.telemetry.otel import Tracer

#: Seconds between two looks of who was asleep.
_DOZE_S = 0.05


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
    recent: RecentTrails = field(default_factory=RecentTrails)
    #: Providers' Batch APIs, where this process can reach them.
    batch_api: BatchApi | None = None
    toolbox: Toolbox = field(default_factory=Toolbox)
    places: Places = field(default_factory=Places)
    cache: ResponseCache = field(init=False)
    students: Students = field(init=False)
    prefixes: Prefixes = field(init=False)
    #: None unless OpenTelemetry is asked for.
    tracer: "Tracer | None" = None
    stopping: bool = False
    #: When its heart beat last, by the clock that nobody sets.
    beat_at: float = math.inf
    #: Seconds of silence after which it counts as dead, and its work is given to others.
    dead_after_s: float = math.inf
    _batches: dict[str, str] = field(default_factory=dict)
    _given_away: set[str] = field(default_factory=set)
    _calls: dict[str, set["asyncio.Task[object]"]] = field(default_factory=dict)
    _cancelled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.cache = ResponseCache(self.client, self.keys)
        self.students = Students(self.client, self.keys)
        self.prefixes = Prefixes(self.client, self.keys)

    def works(self) -> bool:
        """Return whether this process goes on: it was not told to stop."""
        return not self.stopping

    def holds(self, batch: str) -> bool:
        """Return whether this process is working on a batch."""
        return batch in self._batches

    @property
    def batches(self) -> tuple[str, ...]:
        """Ids of the batches in work."""
        return tuple(self._batches)

    @property
    def jobs(self) -> Counter[str]:
        """Batches in work by job."""
        return Counter(tuple(self._batches.values()))

    @contextmanager
    def tracking(self, batch: Batch) -> Iterator[None]:
        """Count a batch among those in work."""
        self._batches[batch.id] = batch.job
        try:
            yield
        finally:
            self._batches.pop(batch.id, None)
            self._given_away.discard(batch.id)

    def give_away(self, batch: str) -> None:
        """Begin no more calls for a batch that another worker was given, who took this one for dead."""
        if batch in self._batches:
            self._given_away.add(batch)

    def gave_away(self, batch: str) -> bool:
        """Return whether a batch in work was given to another worker."""
        return batch in self._given_away

    async def awake(self) -> None:
        """Wait until a process that was asleep has heard what became of its work."""
        while time.monotonic() - self.beat_at > self.dead_after_s:
            await asyncio.sleep(_DOZE_S)

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

    def called_off(self, batch: Batch) -> Defer | None:
        """Return why no call for a batch may begin, if so."""
        if batch.id in self._given_away:
            return Defer(cause=DeferCause.STOPPING, wait_s=0, reason="its worker was taken for dead")
        if batch.job in self._cancelled:
            return Defer(cause=DeferCause.CANCELLED, wait_s=0, reason="the job was cancelled")
        if self.stopping:
            return Defer(cause=DeferCause.STOPPING, wait_s=0, reason="its worker was stopped")
        return None

    def allow(self, job: str) -> None:
        """Note that a job is not cancelled, or no longer."""
        self._cancelled.discard(job)

    def cancel(self, job: str) -> None:
        """Begin no more calls of a job and cancel the running ones; call it on the loop."""
        self._cancelled.add(job)
        self._end_calls(job)

    def cancel_all(self) -> None:
        """Cancel every running call of a worker that is stopping; call it on the loop."""
        for job in tuple(self._calls):
            self._end_calls(job)

    def _end_calls(self, job: str) -> None:
        for task in tuple(self._calls.get(job, ())):
            task.cancel()
