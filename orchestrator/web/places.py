"""Turns: requests of one tenant that are worked on at once in this process, so that no tenant takes all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


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
