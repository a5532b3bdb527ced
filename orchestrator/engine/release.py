"""Windowed release: of each job only so much is in flight as keeps the pools busy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.sharding import most_out, most_together
from firstline.orchestrator.engine import publish
from firstline.orchestrator.engine.apply import Place, apply
from firstline.orchestrator.engine.economics import is_weighed, tried
from firstline.orchestrator.engine.fairness import Claimant, share
from firstline.orchestrator.store import batches, items, jobs
from firstline.schemas.batch import Batch
from firstline.schemas.job import Priority
from firstline.schemas.plan import EVERY
from firstline.schemas.states import ShardState
from firstline.schemas.tier import TierKind

#: Subtasks in flight per slot of the workers. A batch counts in full until its slowest call is through: with a long
#: tail of latencies two thirds of what is in flight are answered already and wait for their neighbours.
PER_SLOT = 4.0
#: Subtasks in flight on a tier of which nothing is measured.
PROBED = 20


@dataclass(frozen=True)
class Release:
    """Shards that may be sent now."""

    job: Job
    shards: Sequence[int] = ()
    #: The messages of the first one, cut already: a message to ourselves about it would only cost time.
    cut: Sequence[Batch] | None = None

    def send(self, engine: Context) -> int:
        """Send what was released, the first shard itself and word of the others; return how many shards that is."""
        for n in self.shards[:1]:
            _send(engine, self.job, self.job.segment, n, self.cut)
        for n in self.shards[1:]:
            publish.task(
                engine, publish.SHARD, self.job.id, self.job.segment, n, priority=self.job.priority
            ).apply_async()
        return len(self.shards)


def release(engine: Context, job_id: str) -> int:
    """Send shards of a running job until its window is full; return how many."""
    with engine.db.reading() as tx:
        job = engine.job(tx, job_id)
        if not job.state.works or job.segment >= job.plan.segments:
            return 0
        if not batches.any_waiting(tx, job=job.id, segment=job.segment) or _room(engine, tx, job) <= 0:
            return 0
    with engine.db.writing() as tx:
        released = claim(engine, tx, job_id)
    return released.send(engine)


def claim(engine: Context, tx: Connection, job_id: str) -> Release:
    """Take for a running job as many shards as its window has room for."""
    jobs.hold(tx, job=job_id)
    job = engine.job(tx, job_id)
    if not job.state.works or job.segment >= job.plan.segments:
        return Release(job)
    claimed = batches.claim_shards(tx, job=job.id, segment=job.segment, room=_room(engine, tx, job))
    return Release(job, claimed, _cut(engine, tx, job, job.segment, claimed[0]) if claimed else None)


def _room(engine: Context, tx: Connection, job: Job) -> int:
    """Return how many more items may be sent: the first tier is kept busy, and no tier above it is flooded."""
    flying = batches.in_flight(tx, job=job.id, segment=job.segment)
    leading = job.plan.segment(job.segment)[0]
    first = leading.start_of(EVERY, job.ladder)
    if job.tier(first).kind is TierKind.BATCH:
        # Nothing of it is in Redis while it waits for a provider batch.
        return job.tier(first).bulk.requests
    tiers = {first, *job.ladder}
    mine = share(job.id, [Claimant(row["id"], row["tenant"], Priority(row["priority"])) for row in jobs.claimants(tx)])
    load = engine.pace.load(job.tier(first))
    window = mine * max(PER_SLOT * slots(engine, job, first), load.in_turn * load.items)
    if is_weighed(job, leading) and leading.policy.start is None:
        # Unmeasured, a tier gets a few subtasks, then as many more as it has answered: it may not pay.
        window = min(window, max(PROBED, tried(tx, job, leading, first)))
    everywhere = max(window, mine * 1.5 * PER_SLOT * sum(slots(engine, job, tier) for tier in tiers))
    if (most := most_out(job.shard_items)) is not None:
        window, everywhere = min(window, most), min(everywhere, 1.5 * most)
    room = math.ceil(min(window - flying.get(first, 0) - flying[""], everywhere - sum(flying.values())))
    # Each running job gets on, however small its share.
    return room if sum(flying.values()) else max(1, room)


def send_shard(engine: Context, job_id: str, segment: int, n: int) -> None:
    """Cut a released shard into batches and send them as one chord; one that was sent already is left alone."""
    with engine.db.writing() as tx:
        jobs.hold(tx, job=job_id)
        job = engine.job(tx, job_id)
        ready = _cut(engine, tx, job, segment, n)
    _send(engine, job, segment, n, ready)


def _cut(engine: Context, tx: Connection, job: Job, segment: int, n: int) -> list[Batch] | None:
    """Cut a released shard into batches and return those to send; None where there is nothing to cut."""
    shard = batches.get_shard(tx, job=job.id, segment=segment, n=n)
    if not job.state.works or shard is None or shard["state"] != ShardState.RELEASED:
        return None
    update = apply(
        tx,
        Place(job, segment, n),
        items.pending(tx, job=job.id, segment=segment, lo=shard["lo"], hi=shard["hi"]),
        size=lambda tier: max(pack_of(job, segment, tier), _size(engine, job, tier)),
    )
    ready = publish.made_just_now(tx, job=job, contents=update.contents)
    going = ready or batches.alive(tx, job=job.id, segment=segment, shard=n)
    if not update.closed:
        batches.set_shard(
            tx,
            job=job.id,
            segment=segment,
            n=n,
            to=ShardState.CUT if going else ShardState.PASSED,
            among=(ShardState.RELEASED,),
        )
    return ready


def _send(engine: Context, job: Job, segment: int, n: int, ready: Sequence[Batch] | None) -> None:
    if ready:
        publish.send_shard(engine, job=job, segment=segment, shard=n, made=ready)
    elif ready is not None:
        release(engine, job.id)


def passed(engine: Context, job_id: str, segment: int, n: int) -> None:
    """Note that a shard's chord is through, and move the window on."""
    with engine.db.writing() as tx:
        batches.set_shard(
            tx, job=job_id, segment=segment, n=n, to=ShardState.PASSED, among=(ShardState.RELEASED, ShardState.CUT)
        )
    release(engine, job_id)


def _size(engine: Context, job: Job, name: str) -> int:
    tier = job.tier(name)
    size = engine.pace.load(tier).size(job.items, workers=max(1, engine.workers_of(tier.queue)))
    return min(size, most_together(job.shard_items) or size)


def pack_of(job: Job, segment: int, tier: str) -> int:
    """Return how many items the first steps on a tier want to answer in one call: a message carries as many."""
    starting = (
        planned.step.skill for planned in job.plan.segment(segment) if planned.start_of(EVERY, job.ladder) == tier
    )
    return max((job.plan.skills[skill].pack for skill in starting if skill), default=1)


def slots(engine: Context, job: Job, tier: str) -> int:
    """Return the calls that the live workers of a tier can make at once; one worker's worth where none is known."""
    declared = job.tier(tier)
    return declared.concurrency * max(1, engine.workers_of(declared.queue))
