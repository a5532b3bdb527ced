"""What stands between a subtask and its call: which model may be called, when, and whether the money allows it."""

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

import redis.asyncio
from redis.exceptions import RedisError

from firstline.config.shared_state.budget_counters import NANOS
from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import BudgetCap
from firstline.schemas.tier import Lane, Model, Tier
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.limits.cooldown_rules import PROBE_S
from firstline.workers.limits.cooldowns import Cooldowns, Struck
from firstline.workers.limits.permit import NOTHING, Permit, used
from firstline.workers.limits.redis_scripts import Scripts
from firstline.workers.limits.reservations import BURST_S, LONGEST_WAIT_S, Reservations
from firstline.workers.loop.background import Background
from firstline.workers.providers.endpoint import endpoint
from firstline.workers.providers.gateway import Call, Message, Reply
from firstline.workers.rules.pricing import dollars_in_full

_log = logging.getLogger(__name__)

#: Asks a model itself, without limits or budgets.
Prove = Callable[[Call], Awaitable[Reply]]
#: Is told when a call that proved a model began, and what came of it.
Probed = Callable[[datetime, Reply], None]

#: Seconds after which a call comes back that found no place, or no free money in its budget.
_NO_PLACE_S = 3.0
#: Seconds after which a call comes back when Redis cannot be reached.
_NO_REDIS_S = 5.0
#: Seconds of delay after which a call has missed its turn, and how many turns it may miss.
_LATE_S = BURST_S / 2
_TURNS = 4
#: Share of a call's time in which its model must have answered another one, to be there when that call was given up.
_FRESH = 0.25


class Gate:
    """Limits, budgets and cool-downs that all workers share, as one worker process sees them; lives on one loop.

    A call of a model without limits, for a batch without budgets, passes without a word to Redis. `clock` (seconds) is
    for tests; without one, what is shared goes by Redis's time. `prove` makes the calls that prove a model after a
    cool-down; without it the next item's call does.
    """

    def __init__(
        self,
        *,
        client: "redis.asyncio.Redis",
        keys: Keys,
        clock: Callable[[], float] | None = None,
        prove: Prove | None = None,
    ) -> None:
        scripts, own_clock = Scripts(client, clock), clock or time.monotonic
        self._background = Background()
        self._cooldowns = Cooldowns(
            client=client, keys=keys, scripts=scripts, background=self._background, clock=own_clock
        )
        self._reservations = Reservations(scripts=scripts, keys=keys, background=self._background, clock=own_clock)
        self._process, self._number = secrets.token_hex(6), itertools.count()
        self._unpriced: set[str] = set()
        self._prove = prove
        #: Calls of our own that are on their way to say whether a model answers, by its endpoint.
        self._asked: dict[str, asyncio.Task[None]] = {}

    def pick(self, tier: Tier, *, avoid: Collection[str] = ()) -> Model | Defer:
        """Return the tier's first model that may be called now, or within a short pause that `enter` waits for.

        Without one: `NO_MODEL` until the first comes back.
        """
        return self._cooldowns.pick(tier, avoid, patience_s=LONGEST_WAIT_S)

    def answers(self, models: Collection[Model]) -> bool:
        """Return whether none of these models is left alone now: they answer others, for all that is known."""
        return all(self._cooldowns.wait_s(model) == 0 for model in models)

    async def enter(
        self,
        *,
        tier: Tier,
        model: Model,
        caps: tuple[BudgetCap, ...] = (),
        tokens: int = 0,
        cost_usd: float | None = None,
        firm: bool = False,
        probed: Probed | None = None,
    ) -> Permit | Defer:
        """Reserve what a call needs: its turn under the model's limits and its estimated dollars in every budget.

        Waits up to `LONGEST_WAIT_S` for its turn. `firm`: the provider counts `tokens` in full, whatever is used. A
        call of unknown cost reserves no money and passes as long as its budgets are not overdrawn.

        A model whose cool-down is over is proven first, by a call of our own within the same budgets, which `probed`
        is told of; without `probed` the call itself proves it.

        Otherwise: `LIMIT`; `BUDGET` (`wait_s` above 0: reservations of calls in flight are in the way, 0: the cap is
        reached by what is spent); `BUDGET_UNKNOWN` (Redis must be told what was spent); `NO_MODEL` (left alone since
        it was picked: pick again).
        """
        name = f"{self._process}.{next(self._number)}"
        permit = Permit(name, model, caps, tokens, cost_usd, firm, self._cooldowns.of(model).probation)
        if caps and cost_usd is None:
            self._warn_unpriced(model)
        refusal: Defer | None = None
        try:
            if permit.probe and self._prove is not None and probed is not None:
                refusal = await self._prove_first(tier, permit, self._prove, probed)
                permit = replace(permit, probe=False)
            refusal = refusal or await self._admit(tier, permit)
        except RedisError as error:
            _log.warning("redis.unreachable", extra={"error": type(error).__name__})
            reason = "Redis, which keeps limits and budgets, cannot be reached"
            return Defer(cause=DeferCause.LIMIT, wait_s=_NO_REDIS_S, reason=reason)
        return permit if refusal is None else refusal

    async def leave(self, permit: Permit, *, reply: Reply | None) -> None:
        """Settle what a call used and free its place; it is done even if the caller is cancelled meanwhile.

        Without a reply (cancelled) the call may still be billed: its reserved dollars count as spent.
        """
        if permit.probe:
            self._cooldowns.end_probe(permit.model, reply)
        if permit.is_reserved:
            await self._reservations.settle(permit, used(permit, reply))

    def fault(self, tier: Tier, model: Model, reply: Reply, who: Struck | None = None) -> None:
        """Count a fault of the model's own; leave it alone, for all workers, when there were enough.

        `who` was struck: what strikes one item again and again while others are answered is that item's, and counts
        for nothing here.
        """
        self._cooldowns.fault(tier, model, reply, who)

    async def is_items_fault(self, tier: Tier, permit: Permit, who: Struck, probed: Probed) -> bool:
        """Say whether a call that timed out did so for its item, while its model answers others.

        Where the model has answered nobody of late, one call of our own says so, within the budgets of the permit.
        """
        found = self._cooldowns.was_late(permit.model, who, within_s=_FRESH * tier.timeout_s)
        if found is not None or self._prove is None:
            return bool(found)
        answered, name = self._cooldowns.of(permit.model).answered, endpoint(permit.model)
        asked = self._asked.get(name)
        if asked is None or asked.done():
            probe = replace(permit, id=f"{permit.id}.probe", firm=False, probe=False)
            asked = self._asked[name] = self._background.do(self._ask_now(tier, probe, self._prove, probed))
        await asyncio.shield(asked)
        return self._cooldowns.of(permit.model).answered > answered

    def is_shut(self, model: Model, lane: Lane) -> bool:
        """Say whether a slow lane of a model is left alone, because it took no call a while ago."""
        return self._cooldowns.is_shut(model, lane)

    def shut(self, tier: Tier, model: Model, lane: Lane, reply: Reply) -> None:
        """Have all workers leave a slow lane of a model alone for a while; it is called on its other lanes."""
        self._cooldowns.shut(tier, model, lane, reply)

    def is_its_own(self, model: Model, who: Struck, kind: ErrorKind) -> bool:
        """Say whether a fault of a model is the own one of the item that it struck."""
        return self._cooldowns.is_its_own(model, who, kind)

    def success(self, tier: Tier, model: Model) -> None:
        """Count a call that the model answered."""
        self._cooldowns.succeed(model)

    async def refresh(self) -> None:
        """Learn what other workers leave alone, keep reservations alive, settle what could not be settled.

        Call it about once a second.
        """
        try:
            await self._reservations.settle_late()
            await self._reservations.renew()
            await self._cooldowns.learn()
        except RedisError as error:
            _log.warning("redis.unreachable", extra={"error": type(error).__name__})

    async def close(self) -> None:
        """Wait until Redis has been told everything."""
        await self._background.done()

    async def _prove_first(self, tier: Tier, permit: Permit, prove: Prove, probed: Probed) -> Defer | None:
        """Have one call, over all workers, prove a model: one of our own, for what fails on an item proves nothing.

        It takes what the item's call would take, for it costs less.
        """
        probe = replace(permit, id=f"{permit.id}.probe", firm=False)
        if (refusal := await self._admit(tier, probe)) is not None:
            return refusal
        await asyncio.shield(self._background.do(self._probe(tier, probe, prove, probed)))
        still = self._cooldowns.of(permit.model).probation
        return self._cooldowns.none_left(tier, (permit.model.name,)) if still else None

    async def _ask_now(self, tier: Tier, permit: Permit, prove: Prove, probed: Probed) -> None:
        if await self._admit(tier, permit) is None:
            await self._probe(tier, permit, prove, probed)

    async def _probe(self, tier: Tier, permit: Permit, prove: Prove, probed: Probed) -> None:
        model, started_at = permit.model, datetime.now(UTC)
        reply: Reply | None = None
        try:
            reply = await prove(_probe_call(tier, model))
            is_proven = self._cooldowns.of(model).is_proven_by(reply.error)
        finally:
            await self.leave(permit, reply=reply)
        probed(started_at, reply)
        if is_proven:
            self.success(tier, model)
        else:
            self.fault(tier, model, reply)
        extra = {"model": model.name, "error": reply.error and reply.error.value, "cost_usd": reply.cost_usd}
        _log.info("model.probed", extra=extra)

    async def _admit(self, tier: Tier, permit: Permit) -> Defer | None:
        """Return why a permit cannot be had, or None once it can be used; what was taken in vain is given back."""
        if permit.probe and not await self._cooldowns.claim_probe(permit.model, permit.id):
            return self._cooldowns.none_left(tier, (permit.model.name,))
        is_in = False
        try:
            refusal = await self._reserve(tier, permit) if permit.is_reserved else await self._pause(tier, permit)
            is_in = refusal is None
        finally:
            if permit.probe and not is_in:
                self._cooldowns.drop_probe(permit.model)
        return refusal

    async def _pause(self, tier: Tier, permit: Permit) -> Defer | None:
        """Wait for the end of a short cool-down."""
        wait_s = 0.0 if permit.probe else self._cooldowns.wait_s(permit.model)
        if wait_s > LONGEST_WAIT_S:
            return self._cooldowns.none_left(tier, (permit.model.name,))
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        return None

    async def _reserve(self, tier: Tier, permit: Permit) -> Defer | None:
        for _ in range(_TURNS):
            said = await self._reservations.take(permit)
            match said:
                case ["granted", wait]:
                    if await self._wait_for_turn(permit, float(wait)):
                        return None
                case ["cooling", _]:
                    await self._cooldowns.learn()
                    return self._cooldowns.none_left(tier, (permit.model.name,))
                case _:
                    return _refusal(permit, said)
        reason = f"this worker is too busy to call {permit.model.name} in its turn"
        return Defer(cause=DeferCause.LIMIT, wait_s=_NO_PLACE_S, reason=reason)

    async def _wait_for_turn(self, permit: Permit, wait_s: float) -> bool:
        """Wait; give everything back and return False where the turn was missed.

        A loop that was held up wakes all that wait at once: they would go as one burst, larger than the limit allows.
        """
        if wait_s <= 0:
            return True
        due_at, is_missed = time.monotonic() + wait_s, True
        try:
            await asyncio.sleep(wait_s)
            is_missed = time.monotonic() - due_at > _LATE_S
        finally:
            if is_missed:
                await self._reservations.settle(permit, NOTHING)
        return not is_missed

    def _warn_unpriced(self, model: Model) -> None:
        if model.name not in self._unpriced:
            self._unpriced.add(model.name)
            _log.warning("budget.unpriced_model", extra={"model": model.name})


def _probe_call(tier: Tier, model: Model) -> Call:
    """Return a call that any model answers, in a few tokens and with no job's parameters."""
    asked: Message = {"role": "user", "content": "Answer with one word: ready"}
    schema: JsonObject | None = {"type": "boolean"} if model.decides else None
    return Call(model=model, messages=(asked,), schema=schema, timeout_s=min(tier.timeout_s, PROBE_S - 1))


def _refusal(permit: Permit, said: list[str]) -> Defer:
    """Return in our words what `reserve.lua` refused."""
    model = permit.model
    match said:
        case ["later", wait]:
            # It comes back a little before its turn: what is left of the wait is spent on the loop.
            reason = f"the limits of {model.name} leave no room for {float(wait):.0f} s"
            return Defer(cause=DeferCause.LIMIT, wait_s=max(0.0, float(wait) - LONGEST_WAIT_S / 2), reason=reason)
        case ["full"]:
            reason = f"{model.limits.in_flight} calls of {model.name} are in flight, its limit"
            return Defer(cause=DeferCause.LIMIT, wait_s=_NO_PLACE_S, reason=reason)
        case ["unknown", place]:
            reason = f"Redis does not know what was spent of budget '{_cap(permit, place).key}'"
            return Defer(cause=DeferCause.BUDGET_UNKNOWN, wait_s=1.0, reason=reason)
        case ["spent" | "held" as why, place, *amounts]:
            spent, reserved, cap = (int(amount) / NANOS for amount in amounts)
            key = _cap(permit, place).key
            wait_s = _NO_PLACE_S if why == "held" else 0.0
            reason = (
                f"budget '{key}': {dollars_in_full(spent)} spent and {dollars_in_full(reserved)} reserved of "
                f"{dollars_in_full(cap)}; a call of {model.name} needs about {dollars_in_full(permit.cost_usd or 0)}"
            )
            return Defer(cause=DeferCause.BUDGET, wait_s=wait_s, reason=reason, budget=key, cap_usd=cap)
        case _:
            raise AssertionError(f"reserve.lua said {said!r}")


def _cap(permit: Permit, place: str) -> BudgetCap:
    return permit.caps[int(float(place))]
