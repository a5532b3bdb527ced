"""What calls reserve in Redis before they are made, over all workers: pace, calls in flight, money."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from firstline.config.shared_state.budget_counters import nanos, reservations
from firstline.config.shared_state.keys import Keys
from firstline.workers.limits.permit import CallUsage, Permit
from firstline.workers.limits.rate_limit_headers import headroom
from firstline.workers.limits.redis_scripts import Scripts
from firstline.workers.loop.background import Background
from firstline.workers.providers.endpoint import endpoint

#: Seconds that a call may wait on the loop for its turn; what would wait longer is parked.
LONGEST_WAIT_S = 2.0
#: Share of the allowance that is used. Providers count in windows whose start we do not know and by clocks that are not
#: ours: 2% of a minute is more than a burst and the network's jitter together, so that no minute, wherever it begins,
#: sees more than the allowance.
PACE = 0.98
#: Seconds' worth of the allowance that may go at once after a lull. Providers enforce a minute's limit by the second
#: ("60 a minute" may mean 1 a second), so it has to stay below one; the other half second is left to jitter.
BURST_S = 0.5
#: Seconds that a reservation outlives its worker's last sign of life.
LEASE_S = 30.0
#: Calls that are sent away are told at most this many seconds.
_LONGEST_PROMISE_S = 60.0
#: Seconds between two looks for a free place that another process may have left; our own wake the waiting.
_LOOK_S = 0.1
#: What `reserve.lua` says where calls in flight are in the way.
_IN_THE_WAY = ("full", "held")


@dataclass
class _Line:
    """Those who wait for the same thing in this process: only the first of them asks Redis."""

    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0


class Reservations:
    """Takes, keeps alive and settles the reservations of one worker process."""

    def __init__(
        self, *, scripts: Scripts, keys: Keys, background: Background, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scripts = scripts
        self._keys = keys
        self._background = background
        self._clock = clock
        self._lines: dict[tuple[str, ...], _Line] = {}
        self._held: dict[str, Permit] = {}
        self._unsettled: list[tuple[Permit, CallUsage]] = []
        self._renewed_at = clock()

    async def take(self, permit: Permit) -> list[str]:
        """Reserve all that a permit needs, or nothing; return what came of it.

        `granted` and the seconds to wait before the call; else nothing is reserved: `later` (seconds), `cooling`
        (seconds), `full` (too many calls in flight), `spent` or `held` (place of the cap, then spent, reserved and
        cap in nanodollars: over the cap by what is spent, or by what is reserved), `unknown` (place of the cap).

        Where calls in flight are in the way, it waits in line for them, first come first served.
        """
        key = (endpoint(permit.model), *(cap.key for cap in permit.caps))
        if key not in self._lines:
            said = await self._reserve(permit)
            if said[0] not in _IN_THE_WAY:
                return said
        line = self._lines.setdefault(key, _Line())
        line.waiting += 1
        try:
            return await self._wait_in_line(permit, line)
        finally:
            line.waiting -= 1
            if not line.waiting:
                self._lines.pop(key, None)

    async def settle(self, permit: Permit, use: CallUsage) -> None:
        """Put what was used in the place of what was reserved, even if the caller is cancelled meanwhile."""
        self._held.pop(permit.id, None)
        await asyncio.shield(self._background.do(self._settle(permit, use)))

    async def settle_late(self) -> None:
        """Settle what Redis could not be told when it happened."""
        while self._unsettled:
            await self._send(*self._unsettled[0])
            self._unsettled.pop(0)

    async def renew(self) -> None:
        """Keep all that is held alive, and restore what Redis has lost."""
        if self._clock() - self._renewed_at < LEASE_S / 3:
            return
        self._renewed_at = self._clock()
        for permit in tuple(self._held.values()):
            if permit.id in self._held:
                await self._scripts.run(
                    "renew",
                    [self._limit_keys(permit)[1], *self._money_keys(permit)],
                    [permit.id, LEASE_S, nanos(permit.cost_usd or 0.0), int(permit.model.limits.in_flight is not None)],
                )

    async def _wait_in_line(self, permit: Permit, line: _Line) -> list[str]:
        gives_up_at = time.monotonic() + LONGEST_WAIT_S
        try:
            await asyncio.wait_for(line.first.acquire(), LONGEST_WAIT_S)
        except TimeoutError:
            return await self._reserve(permit)
        try:
            return await self._wait_for_place(permit, line, gives_up_at)
        finally:
            line.first.release()

    async def _wait_for_place(self, permit: Permit, line: _Line, gives_up_at: float) -> list[str]:
        while True:
            line.freed.clear()
            said = await self._reserve(permit)
            left_s = gives_up_at - time.monotonic()
            if said[0] not in _IN_THE_WAY or left_s <= 0:
                return said
            with suppress(TimeoutError):
                await asyncio.wait_for(line.freed.wait(), min(_LOOK_S, left_s))

    async def _reserve(self, permit: Permit) -> list[str]:
        try:
            said = await self._ask(permit)
        except BaseException:
            # Redis may take it all the same, or have taken it; its place in the pace is not given back on a guess.
            self._background.do(self._settle(permit, CallUsage(cost_usd=0.0)))
            raise
        if said[0] == "granted":
            self._held[permit.id] = permit
        return said

    async def _ask(self, permit: Permit) -> list[str]:
        limits = permit.model.limits
        said: list[str] = await self._scripts.run(
            "reserve",
            [*self._limit_keys(permit), self._keys.cooldown(endpoint(permit.model)), *self._money_keys(permit)],
            [
                permit.id,
                LONGEST_WAIT_S,
                LEASE_S,
                _pace(limits.requests_per_minute),
                _pace(limits.tokens_per_minute),
                _text(limits.in_flight),
                permit.tokens,
                nanos(permit.cost_usd or 0.0),
                BURST_S,
                _LONGEST_PROMISE_S,
            ],
        )
        return said

    async def _settle(self, permit: Permit, use: CallUsage) -> None:
        try:
            await self._send(permit, use)
        except RedisError:
            self._unsettled.append((permit, use))
            raise
        finally:
            for line in self._lines.values():
                line.freed.set()

    async def _send(self, permit: Permit, use: CallUsage) -> None:
        limits, room = permit.model.limits, headroom(use.headers)
        extra_tokens = 0 if use.tokens is None else use.tokens - permit.tokens
        if permit.firm and use.calls:
            extra_tokens = max(0, extra_tokens)
        await self._scripts.run(
            "settle",
            [*self._limit_keys(permit), *self._money_keys(permit)],
            [
                permit.id,
                nanos(use.cost_usd),
                use.calls - 1,
                extra_tokens,
                _pace(limits.requests_per_minute),
                _pace(limits.tokens_per_minute),
                _pace(room.requests_limit),
                _pace(room.tokens_limit),
                _text(room.requests_left),
                _text(room.tokens_left),
                permit.tokens,
                use.age_s,
                BURST_S,
            ],
        )

    def _limit_keys(self, permit: Permit) -> tuple[str, str]:
        key = self._keys.limit(endpoint(permit.model))
        return key, f"{key}:in_flight"

    def _money_keys(self, permit: Permit) -> list[str]:
        names = [cap.key for cap in permit.caps]
        return [key for name in names for key in (self._keys.budget(name), reservations(self._keys, name))]


def _pace(per_minute: float | None) -> str:
    return "" if not per_minute else f"{per_minute / 60 * PACE:.9f}"


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"
