"""Windowed release: of each job only so much is in flight as keeps the pools busy."""

import json
import math

from redis.exceptions import RedisError

from orchestrator import publish
from orchestrator.conclude import conclude
from orchestrator.engine import Engine, Job
from orchestrator.flow import SHARD_ITEMS
from orchestrator.store import batches, items
from schemas.job import JobState

#: Subtasks that one message carries at most.
BATCH_ITEMS = 20
#: Subtasks in flight per slot of the workers: enough that no slot idles, few enough that queues stay short.
PER_SLOT = 2.0


def release(engine: Engine, job_id: str) -> int:
    """Send shards of a running job until its window is full; return how many."""
    with engine.db.writing() as tx:
        job = engine.job(tx, job_id)
        if job.state is not JobState.RUNNING or job.segment >= job.plan.segments:
            return 0
        window = _window(engine, job)
        claimed = batches.claim_shards(tx, job=job.id, segment=job.segment, window=window)
    for n in claimed:
        publish.task(engine, publish.SHARD, job.id, job.segment, n, priority=job.priority).apply_async()
    return len(claimed)


def send_shard(engine: Engine, job_id: str, segment: int, n: int) -> None:
    """Cut a released shard into batches and send them as one chord; one that was sent already is left alone."""
    with engine.db.writing() as tx:
        job = engine.job(tx, job_id)
        shard = batches.get_shard(tx, job=job_id, segment=segment, n=n)
        if job.state is not JobState.RUNNING or shard is None or shard["state"] != "released":
            return
        made, closed = conclude(
            tx,
            job=job,
            segment=segment,
            shard=n,
            numbers=items.pending(tx, job=job_id, segment=segment, lo=shard["lo"], hi=shard["hi"]),
            size=lambda tier: batch_size(job.items, slots=slots(engine, job, tier)),
        )
        ready = publish.assembled(tx, job=job, ids=made)
        if not ready and not closed and not batches.alive(tx, job=job_id, segment=segment, shard=n):
            batches.set_shard(tx, job=job_id, segment=segment, n=n, to="passed", among=("released",))
    if ready:
        publish.send_shard(engine, job=job, segment=segment, shard=n, made=ready)
    else:
        release(engine, job_id)


def passed(engine: Engine, job_id: str, segment: int, n: int) -> None:
    """Note that a shard's chord is through, and move the window on."""
    with engine.db.writing() as tx:
        batches.set_shard(tx, job=job_id, segment=segment, n=n, to="passed", among=("released",))
    release(engine, job_id)


def batch_size(count: int, *, slots: int) -> int:
    """Return how many items go in one message: one while there are few (lowest latency), at most 20."""
    return max(1, min(BATCH_ITEMS, math.ceil(count / (2 * slots))))


def _window(engine: Engine, job: Job) -> int:
    """Return how many shards may be in flight: what the tier's live slots can hold twice over, and one to follow."""
    tier = job.plan.segment(job.segment)[0].start_tier
    return math.ceil(PER_SLOT * slots(engine, job, tier) / SHARD_ITEMS) + 1


def slots(engine: Engine, job: Job, tier: str) -> int:
    """Return the calls that the live workers of a tier can make at once; one worker's worth where none is known."""
    declared = job.tier(tier)
    try:
        beats = engine.redis.zrange(engine.settings.keys.workers, 0, -1)
        texts = engine.redis.mget([engine.settings.keys.heartbeat(str(name)) for name in beats]) if beats else []  # type: ignore[union-attr, arg-type]
    except RedisError:
        texts = []
    alive = [json.loads(text) for text in texts if text]  # type: ignore[union-attr]
    processes = sum(declared.queue in beat.get("queues", ()) for beat in alive)
    return declared.concurrency * max(1, processes)
