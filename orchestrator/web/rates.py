"""How many requests a minute a token may make, and how many streams it may have open, in this process."""

import threading
import time
from collections import Counter, OrderedDict
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


class Streams:
    """Streams that are open, by name."""

    def __init__(self, most: int) -> None:
        self._most = most
        # One that nobody held any more is closed whenever it is collected: in the middle of what another one does here.
        self._lock = threading.RLock()
        self._open: Counter[str] = Counter()

    def open(self, name: str) -> "OpenStream | None":
        """Count one more; None where as many are open as may be."""
        with self._lock:
            if self._open[name] >= self._most:
                return None
            self._open[name] += 1
        return OpenStream(self, name)

    def close(self, name: str) -> None:
        """Count one less."""
        with self._lock:
            self._open[name] -= 1
            if self._open[name] <= 0:
                del self._open[name]


class OpenStream:
    """A stream that counts until it is closed, once."""

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams: Streams | None = streams
        self._name = name

    def close(self) -> None:
        """Count no more."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.close(self._name)
