"""What calls reserve in Redis before they are made, over all workers: pace, calls in flight, money."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis.asyncio

from config.keys import Keys
from config.rations import nanos, reservations
from schemas.attempt import ErrorKind
from schemas.base import digest
from schemas.batch import Ration
from schemas.tier import Limits, Model
from workers.cooldown import FAULTS
from workers.gateway import Reply
from workers.headroom import headroom
from workers.scripts import Scripts

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


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call, and what was reserved for it."""

    id: str
    model: Model
    rations: tuple[Ration, ...] = ()
    tokens: int = 0
    #: None: nothing is known to reserve.
    cost_usd: float | None = None
    #: The provider counts the reserved tokens in full, whatever is used.
    firm: bool = False
    #: This call proves whether a model that was left alone is well again.
    probe: bool = False

    @property
    def is_reserved(self) -> bool:
        """Whether Redis knows of it."""
        return bool(self.rations) or is_limited(self.model.limits)


@dataclass(frozen=True, slots=True)
class Used:
    """What a call used; None where nobody said."""

    cost_usd: float | None
    tokens: int | None = None
    calls: int = 1
    #: Rate-limit headers, and the seconds since the provider wrote them.
    headers: dict[str, str] | None = None
    age_s: float = 0.0


#: A call that was never made.
NOTHING = Used(cost_usd=0.0, tokens=0, calls=0)


def is_limited(limits: Limits) -> bool:
    """Say whether there is any limit."""
    return not (limits.requests_per_minute is limits.tokens_per_minute is limits.in_flight is None)


def endpoint(model: Model) -> str:
    """Return the name under which limits and cool-downs of a model are shared: model, base URL and key."""
    return _endpoint(model.name, model.api_base, model.api_key_env)


@cache
def _endpoint(name: str, base: str | None, key: str | None) -> str:
    return name if base is key is None else f"{name}@{digest([base, key], length=8)}"


def used(permit: Permit, reply: Reply | None) -> Used:
    """Return what a call used, as far as its reply tells; a call without a reply may well have been paid for."""
    if reply is None:
        return Used(cost_usd=permit.cost_usd)
    usage = reply.usage
    known = usage.input_tokens is not None and usage.output_tokens is not None
    cost_usd = reply.cost_usd
    if cost_usd is None:
        cost_usd = 0.0 if reply.error in FAULTS - {ErrorKind.TIMEOUT} else permit.cost_usd
    return Used(
        cost_usd=cost_usd,
        tokens=(usage.input_tokens or 0) + (usage.output_tokens or 0) if known else None,
        calls=reply.calls,
        headers=reply.limits,
        age_s=reply.latency_s,
    )


@dataclass(frozen=True, slots=True)
class Reservations:
    """Reserves, settles and renews; without a `clock` Redis's own time counts, the one that all workers share."""

    scripts: Scripts
    keys: Keys
    clock: Callable[[], float] | None = None

    @classmethod
    def of(cls, client: "redis.asyncio.Redis", keys: Keys, clock: Callable[[], float] | None = None) -> "Reservations":
        """Return the reservations that a client reaches."""
        return cls(Scripts(client), keys, clock)

    async def reserve(self, permit: Permit) -> list[str]:
        """Try to reserve all that a permit needs; return what came of it.

        `granted` and the seconds to wait before the call; else nothing was reserved: `later` (seconds), `cooling`
        (seconds), `full` (too many calls in flight), `spent` or `held` (place of the ration, then spent, reserved and
        cap in nanodollars: over the cap by what is spent, or by what is reserved), `unknown` (place of the ration).
        """
        limits, name = permit.model.limits, endpoint(permit.model)
        said: list[str] = await self.scripts.run(
            "reserve",
            [*self._limit_keys(name), self.keys.cooldown(name), *self._money_keys(permit)],
            [
                self._now(),
                permit.id,
                LONGEST_WAIT_S,
                LEASE_S,
                _pace(limits.requests_per_minute),
                _pace(limits.tokens_per_minute),
                "" if limits.in_flight is None else limits.in_flight,
                permit.tokens,
                nanos(permit.cost_usd or 0.0),
                BURST_S,
                _LONGEST_PROMISE_S,
            ],
        )
        return said

    async def settle(self, permit: Permit, use: Used) -> None:
        """Put what was used in the place of what was reserved."""
        limits, room = permit.model.limits, headroom(use.headers or {})
        extra_tokens = 0 if use.tokens is None else use.tokens - permit.tokens
        if permit.firm and use.calls:
            extra_tokens = max(0, extra_tokens)
        await self.scripts.run(
            "settle",
            [*self._limit_keys(endpoint(permit.model)), *self._money_keys(permit)],
            [
                self._now(),
                permit.id,
                nanos(use.cost_usd or 0.0),
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

    async def renew(self, permit: Permit) -> None:
        """Keep a permit's reservations alive, and restore those that Redis has lost."""
        limits = permit.model.limits
        await self.scripts.run(
            "renew",
            [self._limit_keys(endpoint(permit.model))[1], *self._money_keys(permit)],
            [
                self._now(),
                permit.id,
                LEASE_S,
                nanos(permit.cost_usd or 0.0),
                "0" if limits.in_flight is None else "1",
            ],
        )

    async def cool(self, name: str, args: list[str | int | float]) -> float:
        """Leave a model alone for all workers; return for how many seconds."""
        said: Any = await self.scripts.run("cool", [self.keys.cooldown(name)], [self._now(), *args])
        return float(said)

    def _limit_keys(self, name: str) -> tuple[str, str]:
        return self.keys.limit(name), f"{self.keys.limit(name)}:in_flight"

    def _money_keys(self, permit: Permit) -> list[str]:
        return [
            key
            for ration in permit.rations
            for key in (self.keys.budget(ration.key), reservations(self.keys, ration.key))
        ]

    def _now(self) -> str:
        return "" if self.clock is None else f"{self.clock():.6f}"


def _pace(per_minute: float | None) -> str:
    return "" if not per_minute else f"{per_minute / 60 * PACE:.9f}"


def _text(number: float | None) -> str:
    return "" if number is None else f"{number:.3f}"
