"""One call to a provider, made once limits and budgets allow it, and entered as an attempt: it is never made twice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from firstline.schemas.attempt import Attempt, ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import Batch
from firstline.schemas.policy import Confidence
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Tier, TierKind
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.paid_answers import PaidAnswer, as_kept
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.lane_calls import ask, lane_now, may_cost
from firstline.workers.execution.packing import PACK
from firstline.workers.execution.subtask import Subtask
from firstline.workers.execution.tracing import call_span
from firstline.workers.limits.cooldown_rules import FAULTS
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.providers.gateway import Call, Message, Reply
from firstline.workers.rules.pricing import REFUSED
from firstline.workers.worker import Worker

#: Where the price of a cached answer comes from.
CACHE = "cache"


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A call that was cancelled while it ran: the provider may bill it, nobody knows how much."""

    started_at: datetime
    why: Defer

    @property
    def kept(self) -> PaidAnswer:
        """The call as an answer without content, tokens or price."""
        return PaidAnswer(self.started_at, Reply(latency_s=(datetime.now(UTC) - self.started_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of sending a call: its answer, why it was never made (`Defer`), or that it was broken off."""

    outcome: PaidAnswer | Defer | BrokenOff
    #: Calls of our own on its way, which proved that its model answers: paid like any other.
    probes: tuple[PaidAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What a model said to a subtask."""

    attempt: Attempt
    reply: Reply
    prompt: tuple[Message, ...]
    inputs: JsonObject
    #: Known from when the answer was first given, where it comes from the response cache.
    confidence: Confidence | None = None
    #: Under which later jobs find it once it is accepted; None: it is not shared.
    key: str | None = None


#: Asks about an item as one of a pack; None: no other item came in time.
Pack = Callable[[Skill, JsonObject, Call], Awaitable[CallResult | None]]


async def send(call: Call, tier: Tier, batch: Batch, worker: Worker, *, who: Struck | None = None) -> CallResult:
    """Make a call once the tier, the limits and the budgets have room for it.

    `who` it is made for: what fails again and again on one item is not held against its model.
    """
    if tier.kind is TierKind.BATCH:
        reason = f"waits for the next provider batch of tier '{tier.name}'"
        return CallResult(Defer(cause=DeferCause.BULK, wait_s=0, reason=reason))
    async with worker.prefixes.turn(call, expected=_expected(call, batch)) as turn:
        probes: list[PaidAnswer] = []
        outcome = await _send(turn.call, tier, batch, worker, who, probes)
        if isinstance(outcome, PaidAnswer):
            turn.reply = outcome.reply
    if isinstance(outcome, PaidAnswer):
        _learn(call, outcome.reply, tier, worker, who)
    return CallResult(outcome, tuple(probes))


async def _send(
    call: Call, tier: Tier, batch: Batch, worker: Worker, who: Struck | None, probes: list[PaidAnswer]
) -> PaidAnswer | Defer | BrokenOff:
    def told(started_at: datetime, reply: Reply) -> None:
        probes.append(as_kept(PaidAnswer(started_at, reply))[0])

    async with worker.places.held(tier, batch.priority):
        await worker.awake()
        if (off := worker.called_off(batch)) is not None:
            return off
        lane = lane_now(call, tier, batch, worker)
        guess = may_cost(call, lane, worker)
        permit = await worker.gate.enter(
            tier=tier,
            model=call.model,
            caps=batch.caps,
            tokens=guess.tokens,
            cost_usd=guess.cost_usd,
            firm=guess.firm,
            probed=told,
        )
        if isinstance(permit, Defer):
            return permit
        reply: Reply | None = None
        started_at = datetime.now(UTC)
        try:
            with worker.calling(batch.job), call_span(worker.tracer, call, tier, batch) as tell:
                reply = await ask(call, lane, tier, worker)
                tell(reply)
        except asyncio.CancelledError:
            off = worker.called_off(batch)
            if off is None:
                raise
            return BrokenOff(started_at, off)
        finally:
            await worker.gate.leave(permit, reply=reply)
        if reply.error is ErrorKind.TIMEOUT and not reply.is_lanes_fault and who is not None:
            is_items = await worker.gate.is_items_fault(tier, permit, who, told)
            reply = replace(reply, is_items_fault=is_items)
    return PaidAnswer(started_at, reply)


def _learn(call: Call, reply: Reply, tier: Tier, worker: Worker, who: Struck | None) -> None:
    if reply.error in FAULTS and not (reply.is_lanes_fault or reply.is_items_fault):
        worker.gate.fault(tier, call.model, reply, who)
    elif reply.error not in FAULTS:
        worker.gate.success(tier, call.model)
    worker.estimator.learn(call, reply)


def _expected(call: Call, batch: Batch) -> int:
    """Return how many more calls with the same static part a job is to make: on its first tier, one an item."""
    skill = call.schema_name.removesuffix(PACK)
    steps = {planned.step.name: planned for planned in batch.steps if planned.step.skill == skill}
    waiting = sum(todo.step in steps for work in batch.work for todo in work.todo)
    begins = any(planned.start_tier == batch.tier.name for planned in steps.values())
    together = batch.skills[skill].pack if skill != call.schema_name else 1
    return max(0, max(waiting, batch.items if begins else 0) // together - 1)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one subtask, each an attempt: numbered, kept under its number, and never made twice."""

    subtask: Subtask
    inputs: JsonObject
    state: AttemptState
    worker: Worker

    async def say(self, call: Call, *, key: str | None, pack: Pack | None) -> ModelAnswer | Defer:
        """Return what is said to a call: paid for already, shared by an earlier job, as part of a pack, or alone.

        `key`: under which answers of other jobs are found, and `pack`: how the call is shared, each where it may be.
        """
        result: CallResult | None = None
        if self.subtask.paid_for(self.state.n) is None:
            if key is not None and (hit := await self.worker.cache.find(key)) is not None:
                attempt = self._enter_cached(call, hit.reply)
                return ModelAnswer(attempt, hit.reply, call.messages, self.inputs, hit.confidence, key)
            if pack is not None:
                result = await pack(self.subtask.skill, self.inputs, call)
        tier = self.subtask.batch.tier
        booked = await self.book(call, tier) if result is None else self._enter_sent(call, tier, result)
        return booked if isinstance(booked, Defer) else ModelAnswer(*booked, call.messages, self.inputs, key=key)

    async def book(self, call: Call, tier: Tier) -> tuple[Attempt, Reply] | Defer:
        """Return a call's attempt and reply: those kept from an earlier delivery, or new ones, kept at once."""
        kept = self.subtask.paid_for(self.state.n)
        if kept is not None:
            return self._enter(call, tier, kept), kept.reply
        result = await send(call, tier, self.subtask.batch, self.worker, who=self.subtask.struck)
        return self._enter_sent(call, tier, result)

    def _enter_sent(self, call: Call, tier: Tier, result: CallResult) -> tuple[Attempt, Reply] | Defer:
        """Enter what came of sending a call, and keep an answer before anything else is done with it."""
        subtask, state = self.subtask, self.state
        booked: tuple[Attempt, Reply] | Defer
        match result.outcome:
            case Defer() as booked:
                pass
            case BrokenOff(why=booked) as broken:
                state.add(self._enter(call, tier, broken.kept), verdict="cancelled", reason=booked.reason)
            case PaidAnswer() as made:
                kept = self.worker.paid.keep(
                    batch=subtask.batch.id, item=subtask.work.item, step=subtask.todo.step, n=state.n, kept=made
                )
                booked = self._enter(call, tier, kept), kept.reply
        # After the answer, which is kept under the number that comes next.
        for probe in result.probes:
            why = "to prove that the model answers"
            state.add(self._enter(call, tier, probe), purpose="probe", verdict="asked", reason=why)
        return booked

    def _enter_cached(self, call: Call, reply: Reply) -> Attempt:
        """Enter an answer of the response cache: nothing was paid, and what it once cost was saved."""
        made = PaidAnswer(datetime.now(UTC), replace(reply, refusals=()))
        saved = {"from_cache": True, "latency_s": 0.0, "cost_usd": 0.0, "saved_usd": reply.cost_usd}
        attempt = self._enter(call, self.subtask.batch.tier, made)
        return attempt.model_copy(update={**saved, "price_source": CACHE})

    def _enter(self, call: Call, tier: Tier, made: PaidAnswer) -> Attempt:
        subtask, skill, state = self.subtask, self.subtask.skill, self.state
        reply, n = made.reply, state.n
        state.n += 1
        attempt = Attempt(
            item=subtask.work.item,
            step=subtask.todo.step,
            n=n,
            tier=tier.name,
            model=made.model or call.model.name,
            started_at=made.started_at,
            latency_s=reply.latency_s,
            usage=reply.usage,
            cost_usd=reply.cost_usd,
            price_source=reply.price_source,
            service_tier=reply.lane,
            finish_reason=reply.finish_reason,
            structured=reply.structured,
            text=reply.text,
            error=reply.error,
            detail=reply.detail or (f"mended: {', '.join(reply.mends)}" if reply.mends else None),
            skill=skill.name,
            skill_version=skill.version,
            skill_digest=skill.digest,
            effort=state.effort,
        )
        _enter_refusals(attempt, state, reply)
        return attempt


def _enter_refusals(attempt: Attempt, state: AttemptState, reply: Reply) -> None:
    """Enter the requests that were refused on the way to an answer: they cost nothing, and count for limits."""
    for refusal in reply.refusals:
        told = {"usage": Usage(), "cost_usd": 0.0, "text": None, "finish_reason": None, "latency_s": refusal.latency_s}
        how = {"n": state.n, "structured": refusal.mode, "error": refusal.error, "detail": refusal.detail}
        lane = {"service_tier": refusal.lane, "price_source": REFUSED.source}
        state.n += 1
        state.add(attempt, verdict="refused", reason=refusal.reason, **{**told, **how, **lane})
