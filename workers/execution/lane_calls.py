"""A call on its lane: on the slow one where the job has time, at once on the ordinary one where that is full."""

from dataclasses import replace
from datetime import UTC, datetime

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch
from firstline.schemas.tier import Lane, Tier
from firstline.workers.estimates.call_estimate import Estimate
from firstline.workers.providers.gateway import Call, Refusal, Reply
from firstline.workers.rules.lanes import lane_of, left_s
from firstline.workers.worker import Worker

#: What a provider may say where its slow lane has no room: Gemini and Bedrock have no words of their own for it.
_MAY_BE_FULL = frozenset({ErrorKind.LANE, ErrorKind.SERVER, ErrorKind.RATE})


def lane_now(call: Call, tier: Tier, batch: Batch, worker: Worker) -> Lane | None:
    """Return the slow lane that a call goes on now; None: it is made as it is."""
    lane = lane_of(tier, call.model, left_s(batch.deadline, datetime.now(UTC), urgent=batch.is_urgent))
    return None if lane is None or worker.gate.is_shut(call.model, lane) else lane


def may_cost(call: Call, lane: Lane | None, worker: Worker) -> Estimate:
    """Return what to reserve for a call: the dearer lane counts, for the slow one may not take it."""
    ordinary = worker.estimator.estimate(call)
    if lane is None:
        return ordinary
    asked = call.model.evolve(params={**call.model.params, "service_tier": lane.value})
    slow = worker.estimator.estimate(replace(call, model=asked)).cost_usd
    return ordinary if slow is None or ordinary.cost_usd is None else ordinary.at_least(slow)


async def ask(call: Call, lane: Lane | None, tier: Tier, worker: Worker) -> Reply:
    """Make a call; where its slow lane is full, make it again at once on the ordinary one, and leave that lane alone.

    The reply lists the request that was turned away, which cost nothing.
    """
    if lane is None:
        return await worker.gateway.call(call)
    reply = await worker.gateway.call(on_lane(call, lane, tier))
    if reply.error is ErrorKind.TIMEOUT:
        # It may be billed all the same: it is an attempt of its own, and the next one goes on the ordinary lane.
        worker.gate.shut(tier, call.model, lane, reply)
        return replace(reply, lane=lane, is_lanes_fault=True)
    if not _is_full(reply):
        return reply
    worker.gate.shut(tier, call.model, lane, reply)
    turned_away = Refusal(ErrorKind.LANE, reply.detail, reply.latency_s, lane=lane)
    again = await worker.gateway.call(call)
    return replace(again, refusals=(*reply.refusals, turned_away, *again.refusals))


def on_lane(call: Call, lane: Lane, tier: Tier) -> Call:
    """Return a call as it is made on a slow lane, where an answer takes longer."""
    timeout_s = max(call.timeout_s, tier.slow_lane.timeout_s)
    return replace(call, params={**call.params, "service_tier": lane.value}, timeout_s=timeout_s)


def _is_full(reply: Reply) -> bool:
    """Say whether a slow lane had no room for a call: it cost nothing, and there is no word on a limit of ours."""
    is_limit = reply.error is ErrorKind.RATE and reply.retry_after_s is not None
    return reply.error in _MAY_BE_FULL and reply.cost_usd == 0 and not is_limit
