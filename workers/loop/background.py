"""Work on the loop that nobody waits for: what has to be told to Redis."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from redis.exceptions import RedisError

_log = logging.getLogger(__name__)


class Background:
    """Keeps its tasks from being collected; a Redis that cannot be reached is logged, not raised."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def do(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Begin `work`."""
        task = asyncio.get_running_loop().create_task(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def done(self) -> None:
        """Wait until all that was begun so far has ended, however much is begun meanwhile."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except RedisError as error:
        _log.warning("redis.unreachable", extra={"error": type(error).__name__})
