"""Turns: requests of one tenant that are worked on at once in this process, so that no tenant takes all of it."""

import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio

Item = TypeVar("Item")

#: Seconds of a worker thread's work, after which the loop has its turn.
_TURN_S = 0.0005


class Places:
    """So many places for each name; who comes later waits for one, in order."""

    def __init__(self, each: int) -> None:
        self._each = each
        #: name -> its places, and how many hold one or wait for it; only while somebody does.
        self._held: dict[str, tuple[anyio.CapacityLimiter, int]] = {}

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[None]:
        """Hold one of the places of a name for the length of the block."""
        limiter, here = self._held.get(name) or (anyio.CapacityLimiter(self._each), 0)
        self._held[name] = limiter, here + 1
        borrower = object()
        try:
            await limiter.acquire_on_behalf_of(borrower)
            try:
                yield
            finally:
                limiter.release_on_behalf_of(borrower)
        finally:
            here = self._held[name][1] - 1
            if here:
                self._held[name] = limiter, here
            else:
                del self._held[name]

    def count(self, name: str) -> int:
        """Return how many hold a place of a name, or wait for it."""
        return self._held[name][1] if name in self._held else 0


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items to a worker thread; every half a millisecond the loop, and whoever it serves, has its turn first.

    Python runs one thread at a time, and shares that time evenly: what reads a large file would take as much of it as
    the loop that answers everybody else.
    """
    until = time.perf_counter() + _TURN_S
    for item in items:
        yield item
        if time.perf_counter() > until:
            anyio.from_thread.run_sync(_nothing)
            until = time.perf_counter() + _TURN_S


def _nothing() -> None:
    """Be done when the loop has come round."""
