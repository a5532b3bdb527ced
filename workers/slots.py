"""Places for the calls of one tier in one process; who waits is served by priority, then in order."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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

    def __init__(self, count: int) -> None:
        self.count = count
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
        if self._has_room(priority):
            self._held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
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
        while self._waiting and (self._waiting[0][2].done() or self._has_room(self._waiting[0][0])):
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._held += 1
                turn.set_result(None)
