"""Requests and tokens per minute, enforced as a provider does."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from firstline.workers.simulator.script import RateLimits


@dataclass(slots=True)
class Bucket:
    """A token bucket that fills at a steady rate and never holds more than `capacity`."""

    per_minute: float
    capacity: float
    level: float
    filled_at: float

    def fill(self, now: float) -> None:
        """Add what has flowed in since the last time."""
        self.level = min(self.capacity, self.level + (now - self.filled_at) * self.per_minute / 60)
        self.filled_at = now

    def wait_for(self, amount: float) -> float:
        """Return the seconds until `amount` is there; 0 if it is there now."""
        return max(0.0, (min(amount, self.capacity) - self.level) * 60 / self.per_minute)

    @property
    def reset_s(self) -> float:
        """Seconds until the bucket is full again."""
        return (self.capacity - self.level) * 60 / self.per_minute


class Limiter:
    """The two buckets of one model; a request takes from both or from none."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        self._buckets = {
            name: Bucket(rate, max(rate * limits.burst, 1.0), max(rate * limits.burst, 1.0), now)
            for name, rate in (("requests", limits.requests_per_minute), ("tokens", limits.tokens_per_minute))
            if rate is not None
        }

    def take(self, tokens: int) -> float:
        """Take one request of so many tokens; return 0, or the seconds to wait if there is no room (nothing taken)."""
        now = self._clock()
        amounts = {"requests": 1.0, "tokens": float(tokens)}
        for bucket in self._buckets.values():
            bucket.fill(now)
        wait = max((bucket.wait_for(amounts[name]) for name, bucket in self._buckets.items()), default=0.0)
        if wait == 0:
            for name, bucket in self._buckets.items():
                bucket.level -= amounts[name]
        return wait

    def headers(self) -> dict[str, str]:
        """Return OpenAI's x-ratelimit headers."""
        headers: dict[str, str] = {}
        for name, bucket in self._buckets.items():
            headers[f"x-ratelimit-limit-{name}"] = f"{bucket.per_minute:.0f}"
            headers[f"x-ratelimit-remaining-{name}"] = f"{max(bucket.level, 0):.0f}"
            headers[f"x-ratelimit-reset-{name}"] = f"{bucket.reset_s:.3f}s"
        return headers
