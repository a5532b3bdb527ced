"""A job's way from segment to segment: shards are cut, closed, and the next segment opened."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.sharding import FIRST_ITEMS, SHARD_ITEMS, first_item, shard_of
from firstline.orchestrator.plans import barriers
from firstline.orchestrator.store import batches, items, jobs
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.job import WORKING, JobState
from firstline.schemas.plan import Plan, StepKind
from firstline.schemas.states import ShardState


def shard_rows(
    *, job: str, segment: int, pending: Collection[tuple[int, int]], size: int = SHARD_ITEMS
) -> list[dict[str, Any]]:
    """Return shards of up to `size` items over the items, given (shard number, open items)."""
    return [
        _shard(job, segment, n, lo=first_item(n, size), hi=first_item(n + 1, size), count=count)
        for n, count in pending
        if count
    ]


def _shard(job: str, segment: int, n: int, *, lo: int, hi: int, count: int) -> dict[str, Any]:
    return {"job": job, "segment": segment, "n": n, "lo": lo, "hi": hi, "open": count, "state": ShardState.WAITING}


def close_shard(tx: Connection, *, job: Job, segment: int, shard: int, finished: int) -> bool:
    """Take finished items off a shard; when that closes it and with it the segment, open the next one."""
    if not batches.finish_items(tx, job=job.id, segment=segment, shard=shard, count=finished):
        return False
    advance(tx, job=job, segment=segment)
    return True


def advance(tx: Connection, *, job: Job, segment: int) -> None:
    """Open the segment after `segment` if that is closed; end the job after the last one."""
    while batches.unclosed(tx, job=job.id, segment=segment) == 0:
        if not jobs.advance(tx, job=job.id, segment=segment):
            return
        segment += 1
        job = barriers.prepare(tx, job=job, segment=segment)
        if segment >= job.plan.segments:
            finish(tx, job=job)
            return
        open_segment(tx, job=job, segment=segment)


def open_segment(tx: Connection, *, job: Job, segment: int) -> None:
    """Cut what a segment has to do into shards."""
    steps = job.plan.segment(segment)
    if not steps[0].step.is_barrier:
        size = job.shard_items
        block_size = min(size, FIRST_ITEMS)
        counted = Counter[int]()
        for block, count in items.pending_by_block(tx, job=job.id, segment=segment, size=block_size):
            counted[shard_of(block * block_size, size)] += count
        rows = shard_rows(job=job.id, segment=segment, pending=sorted(counted.items()), size=size)
        batches.insert_shards(tx, rows=rows)
        return
    # The items wait at the barrier; the whole-job subtask goes through it for them.
    items.pass_barrier(tx, job=job.id, segment=segment)
    items.open_whole_job(tx, job=job.id, segment=segment)
    batches.insert_shards(tx, rows=[_shard(job.id, segment, 0, lo=WHOLE_JOB, hi=0, count=1)])


def finish(tx: Connection, *, job: Job) -> None:
    """End a job whose last segment is closed."""
    items.settle_waiting(tx, job=job.id)
    items.end_duplicates(tx, job=job.id)
    jobs.move(tx, job=job.id, to=JobState.DONE, among=(JobState.RUNNING,))


def settles_after(plan: Plan, segment: int) -> bool:
    """Whether items settle with this segment: nothing after it looks at them again but a synthesis."""
    behind = [later.step.kind for later in plan.steps if later.segment > segment]
    return not plan.adapt and all(kind is StepKind.SYNTHESIZE for kind in behind)


def fail(tx: Connection, *, job: str, reason: str, among: Collection[JobState] = WORKING) -> bool:
    """End a job that cannot go on; what has settled stays, the rest fails with the same reason."""
    failed = jobs.move(tx, job=job, to=JobState.FAILED, among=among, reason=reason)
    if failed:
        items.fail_pending(tx, job=job, reason=f"the job failed: {reason}")
        batches.drop_live(tx, job=job)
    return failed
