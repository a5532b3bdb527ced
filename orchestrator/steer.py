"""What an orchestrator does with a message: start, release, judge; each a transaction and what follows from it."""

import logging
from collections.abc import Sequence

from celery.canvas import Signature
from redis.exceptions import RedisError
from sqlalchemy import Connection

from config.rations import seed
from orchestrator import publish
from orchestrator.assemble import rations
from orchestrator.engine import Engine, Job
from orchestrator.flow import SHARD_ITEMS, shard_rows
from orchestrator.judge import Judged, judge
from orchestrator.release import release
from orchestrator.store import batches, items, jobs
from schemas.batch import Trail
from schemas.errors import UserError
from schemas.job import WORKING, JobState
from schemas.verdict import DeferCause
from workers.claims import CLAIM_S, JUDGED

_log = logging.getLogger(__name__)


def start(engine: Engine, job_id: str) -> None:
    """Begin a job that was submitted."""
    with engine.db.writing() as tx:
        begun = jobs.move(tx, job=job_id, to=JobState.RUNNING, among=(JobState.SUBMITTED,))
        job = engine.job(tx, job_id) if begun else None
    if job is not None:
        tell_budget(engine, job)
    release(engine, job_id)


def settle_trail(engine: Engine, trail: Trail) -> Signature | None:
    """Judge a trail; return what goes on in its chord slot, if anything does."""
    with engine.db.writing() as tx:
        job = engine.job(tx, trail.job)
        judged = judge(tx, trail=trail, job=job)
        going = publish.assembled(tx, job=job, ids=judged.batches) if job.state.works else []
        if (over := judged.because(DeferCause.BUDGET)) is not None:
            reason = f"{over}; raise it with `firstline budget {job.id} --raise USD`"
            jobs.move(tx, job=job.id, to=JobState.PAUSED, among=WORKING, reason=reason)
        _note(tx, job, judged)
    _forget(engine, trail.batch)
    if judged.because(DeferCause.BUDGET_UNKNOWN) is not None:
        tell_budget(engine, job)
    release(engine, job.id)
    if not going:
        return None
    publish.send_free(engine, job=job, made=going[1:])
    publish.sent(engine, [going[0].id])
    return publish.settle(engine, going[0], priority=job.priority)


def _note(tx: Connection, job: Job, judged: Judged) -> None:
    """Say at the job why it does not get on; take the word back when it does."""
    stuck = judged.because(DeferCause.NO_MODEL)
    if job.state is JobState.RUNNING and (stuck or not judged.deferred):
        jobs.say(tx, job=job.id, reason=stuck)


def tell_budget(engine: Engine, job: Job) -> None:
    """Tell Redis what a job may spend and has spent."""
    for ration in rations(job):
        with engine.db.reading() as tx:
            spent_usd = jobs.spent(tx, job=job.id)
        seed(engine.redis, engine.settings.keys, ration, spent_usd=spent_usd)


def _forget(engine: Engine, batch: str) -> None:
    """Drop what Redis kept for a batch that is judged, and tell late deliveries that it is."""
    keys = engine.settings.keys
    try:
        pipe = engine.redis.pipeline(transaction=False)
        pipe.delete(keys.answers(batch))
        pipe.set(keys.claim(batch), JUDGED, ex=CLAIM_S)
        pipe.execute()
    except RedisError:
        _log.warning("claim.not_closed", extra={"batch": batch})


def pause(engine: Engine, job_id: str, *, reason: str) -> bool:
    """Stop sending a job's work; what is under way comes in and is kept."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        return jobs.move(tx, job=job_id, to=JobState.PAUSED, among=WORKING, reason=reason)


def resume(engine: Engine, job_id: str) -> bool:
    """Send a paused job's work again; return whether it was paused."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        if not jobs.move(tx, job=job_id, to=JobState.RUNNING, among=(JobState.PAUSED,)):
            return False
        reopen(engine, tx, job_id)
        job = engine.job(tx, job_id)
    tell_budget(engine, job)
    publish.task(engine, publish.RELEASE, job_id, priority=job.priority).apply_async()
    return True


def reopen(engine: Engine, tx: Connection, job_id: str) -> None:
    """Let everything of a job that has not ended be sent again."""
    job = engine.job(tx, job_id)
    batches.drop_live(tx, job=job_id)
    items.let_all_go(tx, job=job_id)
    batches.reset_shards(tx, job=job_id, segment=job.segment)


def cancel(engine: Engine, job_id: str, *, reason: str) -> bool:
    """End a job; running calls are cancelled within seconds, what has settled stays."""
    states = (JobState.SUBMITTED, JobState.RUNNING, JobState.PAUSED, JobState.PLANNING, JobState.AWAITING_APPROVAL)
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        if not jobs.move(tx, job=job_id, to=JobState.CANCELLED, among=states, reason=reason):
            return False
        items.cancel_pending(tx, job=job_id, reason=reason)
        batches.drop_live(tx, job=job_id)
    try:
        engine.redis.set(engine.settings.keys.cancel(job_id), "1", ex=24 * 3600)
    except RedisError:
        _log.warning("cancel.not_told", extra={"job": job_id})
    return True


def retry(engine: Engine, job_id: str, *, item_ids: Sequence[str] | None) -> int:
    """Open failed items again, all or those named; return how many. What has settled stays settled and paid."""
    with engine.db.writing() as tx:
        row = jobs.get(tx, job=job_id, lock=True)
        if not JobState(row["state"]).ended and row["state"] != JobState.PAUSED.value:
            raise UserError(f"job {job_id} is {row['state']}; pause it, or wait until it has ended, then retry")
        job = engine.job(tx, job_id)
        numbers = items.failed(tx, job=job_id, item_ids=item_ids)
        if not numbers:
            return 0
        segments = items.reopen_failed(tx, job=job_id, numbers=numbers)
        first = min(segments.values())
        batches.drop_live(tx, job=job_id)
        batches.replace_shards(
            tx,
            job=job_id,
            segment=first,
            rows=shard_rows(
                job=job_id,
                segment=first,
                pending=items.pending_by_shard(tx, job=job_id, segment=first, size=SHARD_ITEMS),
            ),
        )
        states = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)
        jobs.move(tx, job=job_id, to=JobState.RUNNING, among=states, segment=first, ended_at=None)
    engine.redis.delete(engine.settings.keys.cancel(job_id))
    tell_budget(engine, job)
    publish.task(engine, publish.RELEASE, job_id, priority=job.priority).apply_async()
    return len(numbers)
