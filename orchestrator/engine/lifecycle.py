"""What an orchestrator does with a message: start, release, judge; each a transaction and what follows from it."""

import logging
from collections.abc import Sequence

from celery.canvas import Signature
from redis.exceptions import RedisError
from sqlalchemy import Connection, RowMapping

from firstline.config.drafts.draft import is_planning
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.engine import publish, student_audits
from firstline.orchestrator.engine.economics import reconsider
from firstline.orchestrator.engine.judge import Judgement, judge
from firstline.orchestrator.engine.release import claim, release
from firstline.orchestrator.engine.segments import advance, fail, open_segment
from firstline.orchestrator.engine.senders import Senders, refuse_forged
from firstline.orchestrator.engine.tracing import trace_job
from firstline.orchestrator.money import budgets
from firstline.orchestrator.store import batches, decisions, items, jobs, subtasks
from firstline.orchestrator.store import budgets as budget_store
from firstline.schemas.batch import Trail
from firstline.schemas.errors import UserError
from firstline.schemas.job import WORKING, JobState
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.claims import CLAIM_S, JUDGED

_log = logging.getLogger(__name__)

#: States of a job that is written and has not ended.
_BEGUN = (JobState.SUBMITTED, JobState.PLANNING, JobState.AWAITING_APPROVAL, JobState.RUNNING, JobState.PAUSED)


def start(engine: Context, job_id: str) -> None:
    """Begin a job that was submitted."""
    with engine.db.writing() as tx:
        job = engine.job(tx, job_id)
        begun = jobs.move(tx, job=job_id, to=_at_work(job), among=(JobState.SUBMITTED,))
        if begun:
            # Every item may have its answer already.
            advance(tx, job=job, segment=job.segment)
        released = claim(engine, tx, job_id)
    if begun:
        trace_job(engine, job)
        budgets.tell(engine, job)
    released.send(engine)


def _at_work(job: Job) -> JobState:
    """Return the state of a job whose messages are sent."""
    return JobState.PLANNING if is_planning(job.plan) else JobState.RUNNING


def approve(engine: Context, job_id: str) -> bool:
    """Let a job go on whose plan waits for a yes; return whether it waited for one."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        jobs.hold(tx, job=job_id, alone=True)
        if not jobs.move(tx, job=job_id, to=JobState.RUNNING, among=(JobState.AWAITING_APPROVAL,)):
            return False
        decisions.note(tx, job=job_id, kind="plan", by="person", choice="approved")
        job = engine.job(tx, job_id)
        advance(tx, job=job, segment=job.segment)
    _go_on(engine, job)
    return True


def settle_trail(engine: Context, trail: Trail, senders: Senders = None) -> Signature | None:
    """Judge a trail; return what goes on in its chord slot, if anything does.

    UserError: it tells of more than its senders were sent.
    """
    with engine.db.writing() as tx:
        jobs.hold(tx, job=trail.job)
        job = engine.job(tx, trail.job)
        if senders is not None:
            refuse_forged(job, batches.get(tx, batch=trail.batch), trail, senders)
        judged = judge(tx, trail=trail, job=job)
        going = publish.made_just_now(tx, job=job, contents=judged.going) if job.state.works else []
        if (over := judged.over) is not None:
            stop_at(tx, job, over)
        called_off = job.state.works and judged.because(DeferCause.CANCELLED) is not None
        if called_off:
            # The job was cancelled and is tried again; workers have not heard of the latter.
            subtasks.let_go_unheld(tx, job=job.id)
        _note(tx, job, judged)
        audited = student_audits.ended(tx, job=job, trail=trail)
    student_audits.announce(engine, job, audited)
    engine.pace.hear(trail)
    engine.tally.add(judged.attempts)
    _forget(engine, trail.batch)
    if judged.because(DeferCause.BUDGET_UNKNOWN) is not None:
        budgets.tell(engine, job)
    if called_off:
        _allow(engine, job.id)
    if judged.closed and not engine.db.is_sqlite:
        _advance(engine, job)
    reconsider(engine, job)
    release(engine, job.id)
    if not going:
        return None
    publish.send_free(engine, job=job, made=going[1:])
    publish.sent(engine, [going[0].id])
    return publish.settle(engine, going[0], priority=job.priority)


def _advance(engine: Context, job: Job) -> None:
    """Open the next segment when judges of its last shards, side by side, each took the other's for open.

    On SQLite none are: a writer is alone.
    """
    with engine.db.writing() as tx:
        now = engine.job(tx, job.id)
        if now.state.works and now.segment == job.segment < job.plan.segments:
            advance(tx, job=now, segment=now.segment)


def stop_at(tx: Connection, job: Job, over: Defer) -> None:
    """Pause a job at a budget, unless that has been raised since the call was refused."""
    if over.budget and over.cap_usd and budgets.has_moved(tx, job, key=over.budget, cap_usd=over.cap_usd):
        subtasks.let_go_unheld(tx, job=job.id)
        return
    holder = {"held_by": over.budget, "held_cap_usd": over.cap_usd}
    jobs.move(tx, job=job.id, to=JobState.PAUSED, among=WORKING, reason=budgets.told(tx, job, over), **holder)


def _note(tx: Connection, job: Job, judged: Judgement) -> None:
    """Say at the job why it does not get on; take the word back when it does."""
    stuck = judged.because(DeferCause.NO_MODEL)
    if job.state is JobState.RUNNING and (stuck or not judged.deferred) and stuck != job.reason:
        jobs.say(tx, job=job.id, reason=stuck)


def _forget(engine: Context, batch: str) -> None:
    """Drop what Redis kept for a batch that is judged, and tell late deliveries that it is."""
    keys = engine.settings.keys
    try:
        pipe = engine.redis.pipeline(transaction=False)
        pipe.delete(keys.answers(batch))
        pipe.set(keys.claim(batch), JUDGED, ex=CLAIM_S)
        pipe.execute()
    except RedisError:
        _log.warning("claim.not_closed", extra={"batch": batch})


def pause(engine: Context, job_id: str, *, reason: str) -> bool:
    """Stop sending a job's work; what is under way comes in and is kept."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        # One that a budget has paused already stays so when that budget is raised.
        jobs.change(tx, job=job_id, held_by=None, held_cap_usd=None)
        return jobs.move(tx, job=job_id, to=JobState.PAUSED, among=WORKING, reason=reason)


def resume(engine: Context, job_id: str) -> bool:
    """Go on with a paused job; return whether it was paused. What was under way all the time is not sent twice."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        jobs.hold(tx, job=job_id, alone=True)
        job = engine.job(tx, job_id)
        if not jobs.move(tx, job=job_id, to=_at_work(job), among=(JobState.PAUSED,)):
            return False
        subtasks.let_go_unheld(tx, job=job_id)
        batches.reset_shards(tx, job=job_id, segment=job.segment)
    _go_on(engine, job)
    return True


def cancel(engine: Context, job_id: str, *, reason: str) -> bool:
    """End a job; running calls are cancelled within seconds, what has settled stays."""
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        jobs.hold(tx, job=job_id, alone=True)
        if not jobs.move(tx, job=job_id, to=JobState.CANCELLED, among=_BEGUN, reason=reason):
            return False
        items.cancel_pending(tx, job=job_id, reason=reason)
        batches.drop_live(tx, job=job_id)
    _call_off(engine, job_id)
    return True


def expire(engine: Context, job_id: str) -> bool:
    """End a job whose deadline has passed: what is not settled by now fails with that reason."""
    with engine.db.writing() as tx:
        deadline = jobs.get(tx, job=job_id)["deadline"]
        jobs.hold(tx, job=job_id, alone=True)
        reason = f"its deadline, {deadline:%Y-%m-%d %H:%M:%S} UTC, has passed"
        if not fail(tx, job=job_id, reason=reason, among=_BEGUN):
            return False
    _call_off(engine, job_id)
    return True


def abandon(engine: Context, job_id: str) -> bool:
    """End a job whose producer went silent while it handed items in."""
    reason = "its producer went silent before all items were handed in; submit it again"
    with engine.db.writing() as tx:
        failed = fail(tx, job=job_id, reason=reason, among=(JobState.RECEIVING,))
        if failed:
            # Whoever submits it again under its key is right to.
            jobs.change(tx, job=job_id, idempotency_key=None)
        return failed


def retry(engine: Context, job_id: str, *, item_ids: Sequence[str] | None) -> int:
    """Open failed items again, all or those named; return how many, the whole job's own among them.

    What has settled stays settled and paid.
    """
    with engine.db.writing() as tx:
        jobs.get(tx, job=job_id)
        jobs.hold(tx, job=job_id, alone=True)
        job = engine.job(tx, job_id)
        if not job.state.ended and job.state is not JobState.PAUSED:
            raise UserError(f"job {job_id} is {job.state.value}; pause it, or wait until it has ended, then retry")
        numbers = items.failed(tx, job=job_id, item_ids=item_ids)
        if not numbers:
            return 0
        first = min(items.reopen_failed(tx, job=job_id, numbers=numbers).values())
        subtasks.let_go_unheld(tx, job=job_id)
        batches.forget_shards(tx, job=job_id, segment=first)
        states = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PAUSED)
        jobs.move(tx, job=job_id, to=_at_work(job), among=states, segment=first, ended_at=None, deadline=None)
        open_segment(tx, job=job, segment=first)
    _go_on(engine, job)
    return len(numbers)


def _go_on(engine: Context, job: Job) -> None:
    """Have a job's work sent; where Redis cannot be reached now, the sweep does it later."""
    try:
        _allow(engine, job.id)
        budgets.tell(engine, job)
        publish.task(engine, publish.RELEASE, job.id, priority=job.priority).apply_async(retry=False)
    except publish.UNREACHABLE:
        _log.warning("job.not_told", extra={"job": job.id})


def _call_off(engine: Context, job_id: str) -> None:
    """Have workers cancel the running calls of a job."""
    try:
        engine.redis.set(engine.settings.keys.cancel(job_id), "1", ex=24 * 3600)
    except RedisError:
        _log.warning("cancel.not_told", extra={"job": job_id})


def _allow(engine: Context, job_id: str) -> None:
    engine.redis.delete(engine.settings.keys.cancel(job_id))


def let_go(engine: Context) -> int:
    """Resume the jobs whose budget has moved since it paused them; return how many."""
    with engine.db.reading() as tx:
        held = budget_store.held(tx)
    resumed: list[str] = []

    def look(row: RowMapping) -> None:
        with engine.db.reading() as tx:
            job = engine.job(tx, row["id"])
            is_free = budgets.has_moved(tx, job, key=row["held_by"], cap_usd=row["held_cap_usd"])
        if is_free and resume(engine, job.id):
            resumed.append(job.id)

    for_each(engine, held, look, job_of=lambda row: str(row["id"]))
    return len(resumed)
