"""How many requests a minute a token may make: a token bucket each, in this process."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

#: Buckets kept; the one not used for longest goes first, and would be full again anyway.
_KEPT = 10_000


class Rates:
    """Token buckets (a minute's worth of burst) by name."""

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        #: name -> (requests left, as of when)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one request; return 0, or the seconds until there is one to take."""
        with self._lock:
            now_s = self._clock()
            left, at_s = self._buckets.pop(name, (self._per_minute, now_s))
            left = min(self._per_minute, left + (now_s - at_s) * self._per_minute / 60)
            allowed = left >= 1
            self._buckets[name] = (left - 1 if allowed else left, now_s)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (1 - left) * 60 / self._per_minute
