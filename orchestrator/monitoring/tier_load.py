"""The load of each tier: what is queued and running for it, against what its workers can do at once."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.monitoring.live_workers import Crowd
from firstline.orchestrator.store import gauges
from firstline.orchestrator.store.gauges import Out
from firstline.schemas.scaling import TierLoad
from firstline.schemas.tier import Profile, Tier, TierKind


def loads(engine: Context, tx: Connection, *, crowd: Crowd, profile: Profile | None) -> dict[str, TierLoad]:
    """Return tier -> load, of the tiers of the deployment's own profile and of those that have work out."""
    outs = gauges.out(tx, held=crowd.holding)
    declared = {tier.name: tier for tier in profile.tiers} if profile else {}
    for out in outs:
        # Where jobs with several ladders share a name, the first one that has work out speaks for it.
        declared.setdefault(out.tier, engine.job(tx, out.job).tier(out.tier))
    return tier_loads(declared, outs, workers=crowd.by_queue)


def tier_loads(declared: Mapping[str, Tier], outs: Iterable[Out], *, workers: Mapping[str, int]) -> dict[str, TierLoad]:
    """Return tier -> load, given what is out and the workers of each queue."""
    by_tier: defaultdict[str, list[Out]] = defaultdict(list)
    for out in outs:
        by_tier[out.tier].append(out)
    return {
        name: _load(tier, by_tier[name], workers.get(tier.queue, 0))
        for name, tier in declared.items()
        # What waits for a provider's Batch API takes no slot.
        if tier.kind is not TierKind.BATCH
    }


def _load(tier: Tier, outs: Iterable[Out], workers: int) -> TierLoad:
    queued, running, slots = 0, 0, workers * tier.concurrency
    for out in outs:
        queued, running = queued + out.queued, running + out.running
    return TierLoad(
        tier=tier.name,
        queue=tier.queue,
        workers=workers,
        slots=slots,
        queued=queued,
        running=running,
        oldest_s=max((out.oldest_s for out in outs if out.oldest_s is not None), default=None),
        load=(queued + running) / slots if slots else None,
        wanted_workers=math.ceil((queued + running) / tier.concurrency),
    )
