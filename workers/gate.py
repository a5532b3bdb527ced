"""What stands between a subtask and its call: which model may be called, when, and whether the money allows it."""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from config.keys import Keys
from config.rations import NANOS
from schemas.attempt import ErrorKind
from schemas.batch import Ration
from schemas.tier import Model, Tier
from schemas.verdict import Defer, DeferCause
from workers.cooldown import FAULTS, PROBE_S, Cooling, Health
from workers.gateway import Reply
from workers.reservations import (
    LEASE_S,
    LONGEST_WAIT_S,
    NOTHING,
    Permit,
    Reservations,
    Used,
    endpoint,
    used,
)

_log = logging.getLogger(__name__)

#: Seconds between two looks for a free place while other processes may free one; our own wake the waiting.
_LOOK_S = 0.1
#: Seconds after which a call comes back that found no place, or no free money in its budget.
_NO_PLACE_S = 3.0
#: Seconds after which a call comes back when Redis cannot be reached.
_NO_REDIS_S = 5.0
#: Seconds after which a call comes back that every model of its tier has failed on.
_ALL_FAILED_S = 1.0
#: Models that nobody asked for in this many seconds are not looked up any more.
_IN_USE_S = 600.0


@dataclass
class _Line:
    """Those who wait for the same thing in this process: only the first of them asks Redis."""

    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    freed: asyncio.Event = field(default_factory=asyncio.Event)


class Gate:
    """Limits, budgets and cool-downs that all workers share, as one worker process sees them; lives on one loop.

    A call of a model without limits, for a batch without budgets, passes without a word to Redis. `clock` (seconds)
    is for tests; without one, what is shared goes by Redis's time.
    """

    def __init__(self, *, client: "redis.asyncio.Redis", keys: Keys, clock: Callable[[], float] | None = None) -> None:
        self._client = client
        self._keys = keys
        self._reservations = Reservations.of(client, keys, clock)
        self._clock = clock or time.monotonic
        self._ids = (f"{prefix}.{number}" for prefix in [secrets.token_hex(6)] for number in itertools.count())
        self._health: dict[str, Health] = {}
        self._lines: dict[tuple[str, ...], _Line] = {}
        self._held: dict[str, Permit] = {}
        self._unsettled: list[tuple[Permit, Used]] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._renewed_at = self._clock()
        self._unpriced: set[str] = set()

    def pick(self, tier: Tier, *, avoid: Collection[str] = ()) -> Model | Defer:
        """Return the tier's first model that may be called now, or within a short pause that `enter` waits for.

        Without one: `Defer(NO_MODEL)` until the first comes back.
        """
        now = self._clock()
        soonest: tuple[float, Model] | None = None
        for model in tier.models:
            if model.name in avoid:
                continue
            health = self._of(model, now)
            wait_s = health.wait_s(now)
            if wait_s == 0:
                return model
            if health.is_pausing() and (soonest is None or wait_s < soonest[0]):
                soonest = wait_s, model
        if soonest is not None and soonest[0] <= LONGEST_WAIT_S:
            return soonest[1]
        return self._no_model(tier, avoid, now)

    async def enter(
        self,
        *,
        tier: Tier,
        model: Model,
        rations: tuple[Ration, ...] = (),
        tokens: int = 0,
        cost_usd: float | None = None,
        firm: bool = False,
    ) -> Permit | Defer:
        """Reserve what a call needs: its turn under the model's limits and its estimated dollars in every budget.

        Waits up to `LONGEST_WAIT_S` for its turn. `firm`: the provider counts `tokens` in full, whatever is used. A
        call of unknown cost reserves no money and passes as long as its budgets are not overdrawn.

        Otherwise: `LIMIT`; `BUDGET` (`wait_s` above 0: reservations of calls in flight are in the way, 0: the cap is
        reached by what is spent); `BUDGET_UNKNOWN` (Redis must be told what was spent); `NO_MODEL` (left alone since
        it was picked: pick again).
        """
        health = self._of(model, self._clock())
        permit = Permit(next(self._ids), model, rations, tokens, cost_usd, firm, health.probation)
        if rations and cost_usd is None:
            self._warn_unpriced(model)
        refusal = await self._admit(tier, permit, health)
        if refusal is None:
            return permit
        if permit.probe and refusal.cause is not DeferCause.NO_MODEL:
            self._tell(self._drop_probe(permit, health))
        return refusal

    async def leave(self, permit: Permit, *, reply: Reply | None) -> None:
        """Settle what a call used and free its place; it is done even if the caller is cancelled meanwhile.

        Without a reply (cancelled) the call may still be billed: its reserved dollars count as spent.
        """
        if permit.probe:
            self._end_probe(permit, reply)
        if permit.is_reserved:
            await self._settle(permit, used(permit, reply))

    def fault(self, tier: Tier, model: Model, reply: Reply) -> None:
        """Count a fault of the model's own; leave it alone, for all workers, when there were enough."""
        now, kind = self._clock(), reply.error
        if kind not in FAULTS:
            return
        health = self._of(model, now)
        cooling = health.fail(kind, now, cooldown_s=tier.cooldown_s, retry_after_s=reply.retry_after_s)
        if cooling is None:
            return
        if health.wait_s(now) < cooling.length_s or health.probe_until > now:
            health.cool(kind, now + cooling.length_s, probation=cooling.probation)
        health.untold += 1
        self._tell(self._spread(model, health, cooling))

    def success(self, tier: Tier, model: Model) -> None:
        """Count a call that the model answered."""
        self._of(model, self._clock()).succeed()

    async def refresh(self) -> None:
        """Learn which models other workers leave alone, keep reservations alive, settle what could not be settled.

        Call it about once a second.
        """
        try:
            await self._settle_late()
            await self._renew()
            await self._learn()
        except RedisError as error:
            _log.warning("gate.redis_unreachable", extra={"error": type(error).__name__})

    # -- choosing a model -------------------------------------------------------------------------------------------

    def _of(self, model: Model, now: float) -> Health:
        name = endpoint(model)
        health = self._health.get(name)
        if health is None:
            health = self._health[name] = Health()
        health.used_at = now
        return health

    def _no_model(self, tier: Tier, avoid: Collection[str], now: float) -> Defer:
        waits: list[float] = []
        words: list[str] = []
        for model in tier.models:
            health = self._of(model, now)
            wait_s = health.wait_s(now)
            waits.append(max(wait_s, _ALL_FAILED_S) if model.name in avoid else wait_s)
            words.append(f"{model.name} {health.why(now) if wait_s > 0 else 'has just failed on this call'}")
        reason = f"no model of tier '{tier.name}' can be called now: {'; '.join(words)}"
        return Defer(cause=DeferCause.NO_MODEL, wait_s=min(waits), reason=reason)

    async def _learn(self) -> None:
        now = self._clock()
        names = [name for name, health in self._health.items() if now - health.used_at < _IN_USE_S]
        if not names:
            return
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for name in names:
            pipe.hmget(self._keys.cooldown(name), ["until", "kind", "probation"])
        (seconds, micros), *rows = await pipe.execute()
        shared_now = seconds + micros / 1e6 if self._reservations.clock is None else now
        for name, (until, kind, probation) in zip(names, rows, strict=True):
            health = self._health[name]
            if health.untold:
                continue
            if until is None:
                health.heal()
            elif abs((ends := now + float(until) - shared_now) - health.until) > 0.05:
                health.cool(ErrorKind(kind), ends, probation=probation == "1")

    async def _spread(self, model: Model, health: Health, cooling: Cooling) -> None:
        """Tell all workers of a cool-down; the first one who told it knows how long it is by now."""
        try:
            wait_s = await self._reservations.cool(
                endpoint(model),
                [
                    cooling.length_s,
                    cooling.longest_s,
                    "1" if cooling.asked else "0",
                    cooling.kind.value,
                    "1" if cooling.probation else "0",
                ],
            )
            health.until = max(health.until, self._clock() + wait_s)
        finally:
            health.untold -= 1
        _log.warning(
            "model.cooling", extra={"model": model.name, "kind": cooling.kind.value, "seconds": round(wait_s, 1)}
        )

    # -- probing ----------------------------------------------------------------------------------------------------

    async def _claim_probe(self, permit: Permit, health: Health) -> bool:
        """Claim to be the one call that proves a model, over all workers."""
        now = self._clock()
        if health.wait_s(now) > 0:
            return False
        health.probe_until = now + PROBE_S
        key = self._probe_key(permit)
        claimed = await self._client.set(key, permit.id, nx=True, px=int(PROBE_S * 1000))
        if not claimed:
            health.probe_until = now + _ALL_FAILED_S
        return bool(claimed)

    def _end_probe(self, permit: Permit, reply: Reply | None) -> None:
        health = self._of(permit.model, self._clock())
        if reply is None or reply.error in FAULTS:
            # A fault follows by `fault`; after a cancelled probe the next call proves the model.
            self._tell(self._drop_probe(permit, health))
            return
        health.heal()
        health.untold += 1
        self._tell(self._tell_healed(permit, health))

    async def _drop_probe(self, permit: Permit, health: Health) -> None:
        health.probe_until = 0.0
        await self._client.delete(self._probe_key(permit))

    async def _tell_healed(self, permit: Permit, health: Health) -> None:
        try:
            await self._client.delete(self._probe_key(permit), self._keys.cooldown(endpoint(permit.model)))
        finally:
            health.untold -= 1
        _log.info("model.recovered", extra={"model": permit.model.name})

    def _probe_key(self, permit: Permit) -> str:
        return f"{self._keys.cooldown(endpoint(permit.model))}:probe"

    # -- reserving --------------------------------------------------------------------------------------------------

    async def _admit(self, tier: Tier, permit: Permit, health: Health) -> Defer | None:
        """Return why a permit cannot be had, or None when it can be used now."""
        try:
            if permit.probe and not await self._claim_probe(permit, health):
                return self._no_model(tier, (permit.model.name,), self._clock())
            wait_s = health.wait_s(self._clock()) if not permit.probe else 0.0
            if wait_s > LONGEST_WAIT_S:
                return self._no_model(tier, (permit.model.name,), self._clock())
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            return await self._reserve(tier, permit) if permit.is_reserved else None
        except RedisError as error:
            _log.warning("gate.redis_unreachable", extra={"error": type(error).__name__})
            reason = "Redis, which keeps limits and budgets, cannot be reached"
            return Defer(cause=DeferCause.LIMIT, wait_s=_NO_REDIS_S, reason=reason)
        except asyncio.CancelledError:
            if permit.is_reserved:
                self._held.pop(permit.id, None)
                self._tell(self._try_settle(permit, NOTHING))
            if permit.probe:
                self._tell(self._drop_probe(permit, health))
            raise

    async def _reserve(self, tier: Tier, permit: Permit) -> Defer | None:
        said = await self._ask(permit)
        match said:
            case ["granted", wait]:
                self._held[permit.id] = permit
                if float(wait) > 0:
                    await asyncio.sleep(float(wait))
                return None
            case ["later", wait]:
                reason = f"the limits of {permit.model.name} leave no room for {float(wait):.0f} s"
                return Defer(cause=DeferCause.LIMIT, wait_s=max(0.0, float(wait) - LONGEST_WAIT_S / 2), reason=reason)
            case ["full"]:
                reason = f"{permit.model.limits.in_flight} calls of {permit.model.name} are in flight, its limit"
                return Defer(cause=DeferCause.LIMIT, wait_s=_NO_PLACE_S, reason=reason)
            case ["cooling", wait]:
                await self._learn()
                reason = f"{permit.model.name} is left alone for {float(wait):.0f} s"
                return Defer(cause=DeferCause.NO_MODEL, wait_s=float(wait), reason=reason)
            case ["spent" | "held" as why, place, *money]:
                return _over_budget(permit, permit.rations[int(float(place))], why, money)
            case ["unknown", place]:
                key = permit.rations[int(float(place))].key
                reason = f"Redis does not know what was spent of budget '{key}'"
                return Defer(cause=DeferCause.BUDGET_UNKNOWN, wait_s=1.0, reason=reason)
            case _:
                raise AssertionError(f"reserve.lua said {said!r}")

    async def _ask(self, permit: Permit) -> list[str]:
        """Ask for a reservation; wait in line, first come first served, while calls in flight are in the way."""
        line = self._line(permit)
        if not line.first.locked():
            said = await self._reservations.reserve(permit)
            if said[0] not in ("full", "held"):
                return said
        deadline = time.monotonic() + LONGEST_WAIT_S
        try:
            await asyncio.wait_for(line.first.acquire(), LONGEST_WAIT_S)
        except TimeoutError:
            return await self._reservations.reserve(permit)
        try:
            while True:
                line.freed.clear()
                said = await self._reservations.reserve(permit)
                left_s = deadline - time.monotonic()
                if said[0] not in ("full", "held") or left_s <= 0:
                    return said
                await _wait(line.freed, min(_LOOK_S, left_s))
        finally:
            line.first.release()

    def _line(self, permit: Permit) -> _Line:
        key = (endpoint(permit.model), *(ration.key for ration in permit.rations))
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
        return line

    # -- settling ---------------------------------------------------------------------------------------------------

    async def _settle(self, permit: Permit, use: Used) -> None:
        self._held.pop(permit.id, None)
        await asyncio.shield(self._tell(self._try_settle(permit, use)))

    async def _try_settle(self, permit: Permit, use: Used) -> None:
        try:
            await self._reservations.settle(permit, use)
        except RedisError:
            self._unsettled.append((permit, use))
            raise
        finally:
            self._line(permit).freed.set()

    async def _settle_late(self) -> None:
        waiting, self._unsettled = self._unsettled, []
        for place, (permit, use) in enumerate(waiting):
            try:
                await self._reservations.settle(permit, use)
            except RedisError:
                self._unsettled.extend(waiting[place:])
                raise

    async def _renew(self) -> None:
        if self._clock() - self._renewed_at < LEASE_S / 3:
            return
        self._renewed_at = self._clock()
        for permit in tuple(self._held.values()):
            if permit.id in self._held:
                await self._reservations.renew(permit)

    def _tell(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Do something that nobody waits for; a Redis that cannot be reached is logged, not raised."""
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return task

    def _warn_unpriced(self, model: Model) -> None:
        if model.name not in self._unpriced:
            self._unpriced.add(model.name)
            _log.warning("budget.unpriced_model", extra={"model": model.name})


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except RedisError as error:
        _log.warning("gate.redis_unreachable", extra={"error": type(error).__name__})


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _over_budget(permit: Permit, ration: Ration, why: str, money: list[str]) -> Defer:
    spent, reserved, cap = (int(amount) / NANOS for amount in money)
    reason = (
        f"budget '{ration.key}': ${spent:.4f} spent and ${reserved:.4f} reserved of ${cap:.4f}; "
        f"a call of {permit.model.name} needs about ${permit.cost_usd or 0:.4f}"
    )
    return Defer(cause=DeferCause.BUDGET, wait_s=_NO_PLACE_S if why == "held" else 0.0, reason=reason)
