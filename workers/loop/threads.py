"""The threads of a worker's loop, which spares what never waits the switch to one and back."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

Work = Callable[..., Any]


class Threads(ThreadPoolExecutor):
    """A thread pool that runs what `never_waits` knows at once, on the thread that hands it in."""

    def __init__(self, never_waits: Callable[[Work], bool]) -> None:
        super().__init__(thread_name_prefix="firstline-threads")
        self._never_waits = never_waits

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run `fn`, here and now or on a thread; return its future."""
        if not self._never_waits(fn):
            return super().submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
