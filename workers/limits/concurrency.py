"""Places for the calls of a tier in one process; who waits is served by priority, then in order."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from firstline.schemas.tier import Tier
from firstline.workers.loop.event_loop import Load

#: What is known of a call's own time on the loop is the mean of many: calls are spaced by this much of it.
_SPACED = 0.8
#: Seconds between two calls at the most, and how far one who comes late may catch up: timers are a millisecond late.
_LONGEST_S, _CATCH_UP_S = 0.01, 0.002
#: Calls of a stretch of time from which its time per call is known.
_ENOUGH = 10


class Spacing:
    """Keeps the calls of one loop apart.

    Calls that begin in one moment end in one moment: the loop takes all of them a step further before it takes the
    first one the next step, so that none of their successors begins before nearly all of them are through, and places
    stand empty. Spaced by the loop's own time for a call, none begins later than the loop would have got to it, and
    they stay apart from then on. (A leaky bucket whose rate is the loop's.)
    """

    def __init__(self) -> None:
        self._gap_s = 0.0
        self._next_at = 0.0
        self._begun = 0

    @property
    def gap_s(self) -> float:
        """Seconds between two calls as of now."""
        return self._gap_s

    def learn(self, busy_s: float) -> None:
        """Note for how many seconds the loop was busy since this was last told."""
        if self._begun >= _ENOUGH:
            self._gap_s = min(_LONGEST_S, _SPACED * busy_s / self._begun)
        self._begun = 0

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next call may begin, given the loop's time."""
        return max(0.0, self._next_at - now)

    def begin(self, now: float) -> None:
        """Note that a call begins."""
        self._begun += 1
        self._next_at = max(self._next_at, now - _CATCH_UP_S) + self._gap_s


#: Up to this priority places are given however busy the process is: high ones, and small jobs.
URGENT = 2
#: A loop that rests for less than this share of its time has more calls than it can serve; with the second it has room.
SATURATED, ROOMY = 0.97, 0.90
#: Places are never fewer than these.
_LEAST = 8


class Slots:
    """A semaphore with priorities: 0 goes first. It lives on one loop.

    A process that is always busy answers no sooner for having more calls under way: they only wait for its processor,
    in no order. So `adapt` takes places away then, but from the urgent, and gives them back when it has time again
    (additive increase, multiplicative decrease, as in RFC 5681, with the loop's load in the place of lost packets).
    """

    def __init__(self, count: int, spacing: Spacing | None = None) -> None:
        self.count = count
        self._spacing = spacing or Spacing()
        self._timer: asyncio.TimerHandle | None = None
        self._room = count
        self._held = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @asynccontextmanager
    async def held(self, priority: int) -> AsyncIterator[None]:
        """Hold a place for the length of the block."""
        await self._take(priority)
        try:
            yield
        finally:
            self._give_back()

    @property
    def held_now(self) -> int:
        """Places that are taken."""
        return self._held

    @property
    def room(self) -> int:
        """Places as of now."""
        return self._room

    def adapt(self, busy: float) -> None:
        """Have fewer places while the loop is busy for more than so much of its time, and more when it is not."""
        if busy > SATURATED and self._held >= self._room:
            self._room = max(min(_LEAST, self.count), int(self._room * 0.85))
        elif busy < ROOMY and self._room < self.count:
            self._room = min(self.count, self._room + max(1, self.count // 10))
            self._serve()

    def _has_room(self, priority: int) -> bool:
        return self._held < (self.count if priority <= URGENT else self._room)

    async def _take(self, priority: int) -> None:
        loop = asyncio.get_running_loop()
        if not self._waiting and self._has_room(priority) and self._is_due(priority, loop):
            self._give(loop)
            return
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # Its turn came in the very moment in which it was cancelled.
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._held -= 1
        self._serve()

    def _serve(self) -> None:
        """Give places to those who wait for them, as far as there are any and their time has come."""
        while self._waiting:
            priority, _, turn = self._waiting[0]
            if not turn.done():
                if not self._has_room(priority):
                    return
                loop = turn.get_loop()
                if not self._is_due(priority, loop):
                    self._serve_later(loop)
                    return
                self._give(loop)
                turn.set_result(None)
            heapq.heappop(self._waiting)

    def _is_due(self, priority: int, loop: asyncio.AbstractEventLoop) -> bool:
        return priority <= URGENT or self._spacing.wait_s(loop.time()) == 0

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        self._held += 1
        self._spacing.begin(loop.time())

    def _serve_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(self._spacing.wait_s(loop.time()), self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._serve()


class Places:
    """The places of every tier in one process; all of its calls keep apart from each other."""

    def __init__(self) -> None:
        self._slots: dict[str, Slots] = {}
        self._spacing = Spacing()

    def held(self, tier: Tier, priority: int) -> AbstractAsyncContextManager[None]:
        """Hold one of the tier's places for the length of the block; priority 0 is served first."""
        slots = self._slots.get(tier.name)
        if slots is None:
            slots = self._slots[tier.name] = Slots(tier.concurrency, self._spacing)
        return slots.held(priority)

    def adapt(self, load: Load) -> None:
        """Fit the places, and how far apart calls begin, to the loop's load of late; call it on the loop."""
        self._spacing.learn(load.busy_s)
        for slots in self._slots.values():
            slots.adapt(load.share)
