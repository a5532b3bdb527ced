"""The one event loop of a worker process, on a thread of its own."""

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

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


T = TypeVar("T")


class _Timed(selectors.DefaultSelector):
    """Counts the seconds in which a loop had nothing to do."""

    rested_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Wait for events, as any selector."""
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        began = time.perf_counter()
        found = super().select(timeout)
        self.rested_s += time.perf_counter() - began
        return found


class Load(NamedTuple):
    """How much a loop had to do in a stretch of time."""

    busy_s: float
    seconds: float

    @property
    def share(self) -> float:
        """The share of the time in which there was something to do."""
        return self.busy_s / self.seconds


class Loop:
    """An asyncio loop that lives as long as its process: clients and semaphores belong to it."""

    def __init__(self) -> None:
        self._selector = _Timed()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._asked = (time.perf_counter(), 0.0)
        self._thread = threading.Thread(target=self._run, name="firstline-loop", daemon=True)
        self._thread.start()

    def spare_threads(self, never_waits: Callable[[Work], bool]) -> None:
        """Run on the loop, from now on, what is meant for a thread of the loop's and never waits."""
        self._loop.set_default_executor(Threads(never_waits))

    def load(self) -> Load:
        """Return how busy the loop was since this was last asked.

        Ask on the loop: from elsewhere, the rest that it is having now would be missing.
        """
        (before, rested_before), self._asked = self._asked, (time.perf_counter(), self._selector.rested_s)
        now, rested = self._asked
        seconds = max(now - before, 1e-6)
        return Load(max(0.0, seconds - (rested - rested_before)), seconds)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and wait for what it returns."""
        return self.begin(work).result()

    def begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begin `work` on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def soon(self, call: Any, *arguments: Any) -> None:
        """Call a function on the loop, from any thread."""
        self._loop.call_soon_threadsafe(call, *arguments)

    def stop(self) -> None:
        """Stop the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
