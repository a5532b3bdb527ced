"""Calls as attempts: numbered, kept under their number, and never made twice."""

from dataclasses import replace
from datetime import UTC, datetime

from firstline.schemas.attempt import Attempt, Usage
from firstline.schemas.tier import Tier
from firstline.schemas.verdict import Defer
from firstline.workers.durability.paid_answers import PaidAnswer, as_kept
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import BrokenOff, CallResult, send
from firstline.workers.execution.subtask import Subtask
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.pricing import REFUSED
from firstline.workers.worker import Worker

#: Where the price of a cached answer comes from.
CACHE = "cache"


async def book(
    subtask: Subtask, call: Call, tier: Tier, state: AttemptState, worker: Worker
) -> tuple[Attempt, Reply] | Defer:
    """Return a call's attempt and reply: the one kept from an earlier delivery, or a new one that is kept at once."""
    kept = subtask.paid_for(state.n)
    if kept is not None:
        return _enter(subtask, call, tier, state, kept), kept.reply
    return book_sent(
        subtask, call, tier, state, worker, await send(call, tier, subtask.batch, worker, who=subtask.struck)
    )


def book_sent(
    subtask: Subtask, call: Call, tier: Tier, state: AttemptState, worker: Worker, result: CallResult
) -> tuple[Attempt, Reply] | Defer:
    """Enter what came of sending a call, and keep an answer before anything else is done with it."""
    booked = _book_call(subtask, call, tier, state, worker, result.outcome)
    # After the answer, which is kept under the number that comes next.
    for probe in result.probes:
        why = "to prove the model after a cool-down"
        state.add(_enter(subtask, call, tier, state, as_kept(probe)[0]), purpose="probe", verdict="asked", reason=why)
    return booked


def _book_call(
    subtask: Subtask,
    call: Call,
    tier: Tier,
    state: AttemptState,
    worker: Worker,
    outcome: PaidAnswer | Defer | BrokenOff,
) -> tuple[Attempt, Reply] | Defer:
    match outcome:
        case Defer():
            return outcome
        case BrokenOff(why=why):
            state.add(_enter(subtask, call, tier, state, outcome.kept), verdict="cancelled", reason=why.reason)
            return why
        case PaidAnswer():
            kept = worker.paid.keep(
                batch=subtask.batch.id, item=subtask.work.item, step=subtask.todo.step, n=state.n, kept=outcome
            )
            return _enter(subtask, call, tier, state, kept), kept.reply


def _enter_refusals(attempt: Attempt, state: AttemptState, reply: Reply) -> None:
    """Enter the requests that were refused on the way to an answer: they cost nothing, and count for limits."""
    for refusal in reply.refusals:
        told = {"usage": Usage(), "cost_usd": 0.0, "text": None, "finish_reason": None, "latency_s": refusal.latency_s}
        how = {"n": state.n, "structured": refusal.mode, "error": refusal.error, "detail": refusal.detail}
        lane = {"service_tier": refusal.lane, "price_source": REFUSED.source}
        state.n += 1
        state.add(attempt, verdict="refused", reason=refusal.reason, **{**told, **how, **lane})


def book_cached(subtask: Subtask, call: Call, tier: Tier, state: AttemptState, reply: Reply) -> Attempt:
    """Enter an answer of the response cache: nothing was paid, and what it once cost was saved."""
    attempt = _enter(subtask, call, tier, state, PaidAnswer(datetime.now(UTC), replace(reply, refusals=())))
    saved = {"from_cache": True, "latency_s": 0.0, "cost_usd": 0.0, "saved_usd": reply.cost_usd}
    return attempt.model_copy(update={**saved, "price_source": CACHE})


def _enter(subtask: Subtask, call: Call, tier: Tier, state: AttemptState, made: PaidAnswer) -> Attempt:
    skill, reply, n = subtask.skill, made.reply, state.n
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
