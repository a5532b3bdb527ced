"""One call to a provider: its place among the calls in flight, what it may cost, and what is learnt from it."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch
from firstline.schemas.tier import Tier, TierKind
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.execution.lane_calls import ask, lane_now, may_cost
from firstline.workers.execution.packing import PACK
from firstline.workers.execution.tracing import call_span
from firstline.workers.limits.cooldown_rules import FAULTS
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.worker import Worker


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
    #: Calls of our own on its way, which proved its model after a cool-down: paid like any other.
    probes: tuple[PaidAnswer, ...] = ()


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
        probes.append(PaidAnswer(started_at, reply))

    async with worker.slot(tier, batch.priority):
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
