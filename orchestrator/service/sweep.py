"""The sweep: what no live worker holds and nobody has judged is sent again; one orchestrator at a time does it."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from redis.exceptions import RedisError
from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.sharding import most_out, shard_of
from firstline.orchestrator.core.ticker import Ticker
from firstline.orchestrator.engine import lifecycle, provider_batches, publish
from firstline.orchestrator.engine.apply import Place, apply
from firstline.orchestrator.engine.lifecycle import abandon, expire, start
from firstline.orchestrator.engine.release import passed, release
from firstline.orchestrator.engine.segments import advance
from firstline.orchestrator.quality import audits, looks
from firstline.orchestrator.service.lost_batches import SETTLING_S, sort_out
from firstline.orchestrator.store import batches, families, items, jobs, subtasks
from firstline.schemas.errors import InfrastructureError
from firstline.schemas.job import WORKING, JobState
from firstline.schemas.states import BatchState
from firstline.schemas.tier import Tier
from firstline.workers.durability.claims import CLAIM_S, LOST, UNREADABLE

_log = logging.getLogger(__name__)

#: Seconds after which a batch counts as lost even though its queue holds messages: the others have overtaken it.
OVERTAKEN_S = 60.0
#: Seconds that a producer may be silent while it hands items in.
PRODUCER_SILENT_S = 900.0
#: Deliveries that ended with the worker's death, or that could not be read, before a batch is cut up, and before a
#: single subtask is given up.
FAILURES_ALLOWED = 3
_DEFERRED_AT_ONCE = 500
# KEYS: claim. ARGV: who held it, the word for lost, seconds.
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
"""
_KEPT_BATCHES = 500


@dataclass
class Rescue:
    """Sweeps again and again while it leads."""

    engine: Context
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    clock: Callable[[], float] = time.monotonic
    _beats: int = 0
    #: When the last turn ended that Redis was there for; None: it was not.
    _met_at: float | None = field(default_factory=time.monotonic)
    #: From when on silence of workers is their own.
    _trusts_at: float = 0.0

    @property
    def ticker(self) -> Ticker:
        """What sweeps when it is started."""
        return Ticker("rescue", self.engine.settings.sweep_s / 4, self._turn)

    def abdicate(self) -> None:
        """Let another orchestrator lead at once."""
        try:
            if self.engine.redis.get(self.engine.settings.keys.leader) == self.name:
                self.engine.redis.delete(self.engine.settings.keys.leader)
        except RedisError:
            _log.warning("rescue.leader_kept")

    def _turn(self) -> None:
        now_s, alive_s = self.clock(), self.engine.settings.dead_after_s
        if self._met_at is None or now_s - self._met_at > self.ticker.every_s + alive_s / 2:
            # Redis was away, or this process asleep: workers have to be heard again before one counts as dead.
            self._trusts_at = now_s + alive_s
        self._met_at = None
        if self._leads():
            self.sweep()
        self._met_at = self.clock()

    def _leads(self) -> bool:
        key, lease_ms = self.engine.settings.keys.leader, int(self.engine.settings.sweep_s * 3000)
        if self.engine.redis.set(key, self.name, nx=True, px=lease_ms):
            return True
        if self.engine.redis.get(key) != self.name:
            return False
        return bool(self.engine.redis.pexpire(key, lease_ms))

    def sweep(self) -> None:
        """Do what is due: deferred subtasks each time, the rest each fourth time."""
        self._beats += 1
        for every, at, duty in _DUTIES:
            if self._beats % every == at and (duty is not resend_lost or self.clock() >= self._trusts_at):
                self._do(duty)

    def _do(self, duty: Callable[[Context], object]) -> None:
        """Do a duty; what is wrong with it keeps none of the others."""
        try:
            duty(self.engine)
        except (InfrastructureError, RedisError, OSError):
            raise
        except Exception:
            _log.exception("sweep.duty_failed", extra={"duty": duty.__name__})


def end_hopeless(engine: Context) -> None:
    """End jobs whose deadline has passed, or whose producer died while it handed items in."""
    with engine.db.reading() as tx:
        overdue = jobs.overdue(tx)
        abandoned = jobs.abandoned(tx, silent_s=PRODUCER_SILENT_S)
    for_each(engine, overdue, lambda job: expire(engine, job), job_of=str)
    for_each(engine, abandoned, lambda job: abandon(engine, job), job_of=str)


def wake_due(engine: Context) -> int:
    """Send the deferred subtasks whose time has come; return how many items.

    What cannot be sent stays due: its jobs are passed over then, for others stand behind them.
    """
    woken, stuck = 0, set[str]()
    while True:
        with engine.db.reading() as tx:
            rows = subtasks.due(tx, limit=_DEFERRED_AT_ONCE, but_for=stuck)
        by_job: dict[str, set[int]] = {}
        for job_id, item, _, _ in rows:
            by_job.setdefault(job_id, set()).add(item)
        well = _wake(engine, by_job)
        woken += sum(len(by_job[job]) for job in well)
        stuck |= by_job.keys() - well
        if by_job.keys() == well:
            return woken


def _wake(engine: Context, by_job: Mapping[str, set[int]]) -> set[str]:
    """Send deferred subtasks of jobs; return the jobs with which that went well."""
    well = set[str]()

    def wake(job_id: str) -> None:
        with engine.db.reading() as tx:
            most = most_out(engine.job(tx, job_id).shard_items)
        numbers = sorted(by_job[job_id])[:most]
        _again(engine, job_id, numbers, opening=lambda tx, job, wanted: subtasks.wake(tx, job=job, numbers=wanted))
        well.add(job_id)

    for_each(engine, by_job, wake, job_of=str)
    return well


def _again(
    engine: Context,
    job_id: str,
    numbers: Sequence[int],
    *,
    opening: Callable[..., None],
    size: int | None = None,
    heirs_of: str | None = None,
) -> None:
    """Open subtasks of items of one job and send what that makes ready, shard by shard."""
    by_shard: dict[tuple[int, int], list[int]] = {}
    with engine.db.writing() as tx:
        jobs.hold(tx, job=job_id)
        job = engine.job(tx, job_id)
        if not job.state.works:
            return
        for n, item in items.load(tx, job=job_id, numbers=numbers, lock=True).items():
            shard = shard_of(n, job.shard_items)
            by_shard.setdefault((item["segment"], shard), []).append(n)
        opening(tx, job_id, numbers)
        made: list[str] = []
        for (segment, shard), members in by_shard.items():
            cut = None if size is None else (lambda _tier: size)
            made += apply(tx, Place(job, segment, shard), members, size=cut).batches
        ready = publish.assembled(tx, job=job, ids=made)
    if heirs_of is not None:
        _bequeath(engine, heirs_of, made)
    publish.send_free(engine, job=job, made=ready)


def publish_outbox(engine: Context) -> int:
    """Publish batches that were decided on and never sent, because their orchestrator died in between."""
    with engine.db.reading() as tx:
        waiting = [row for row in batches.live(tx, older_than_s=SETTLING_S) if row["state"] == BatchState.READY]
    return _send(engine, waiting)


def resend_lost(engine: Context) -> int:
    """Send again what no live worker holds, no queue can still contain and nobody has judged."""
    with engine.db.reading() as tx:
        sent = [row for row in batches.live(tx, older_than_s=SETTLING_S) if row["state"] == BatchState.SENT]
        owners: dict[str, Job] = {}

        def read(job_id: str) -> None:
            owners[job_id] = engine.job(tx, job_id)

        for_each(engine, {row["job"] for row in sent}, read, job_of=str)
        overtaken_at = jobs.clock(tx) - timedelta(seconds=OVERTAKEN_S)
    out = [row for row in sent if row["job"] in owners]
    if not out:
        return 0
    lost, dead = sort_out(engine, out, lambda row: owners[row["job"]].tier(row["tier"]).queue, overtaken_at)
    for_each(engine, dead, lambda ended: _after_failure(engine, *ended), job_of=lambda ended: str(ended[0]["job"]))
    return _send(engine, provider_batches.collect_again(engine, lost))


def _after_failure(engine: Context, row: RowMapping, claim: str) -> None:
    """Send again what a dead worker held or nobody could read; what fails ever again is taken apart, then given up."""
    with engine.db.writing() as tx:
        now = batches.get(tx, batch=row["id"], lock=True)
        if now is None or now["state"] != BatchState.SENT:
            # It was judged between our look at the database and that at Redis.
            return
        failures = batches.mark_lost(tx, batch=row["id"])
    _release_claim(engine, row["id"], claim)
    why = claim.removeprefix(UNREADABLE) if claim.startswith(UNREADABLE) else None
    event = "batch.worker_died" if why is None else "batch.unread"
    _log.warning(event, extra={"batch": row["id"], "job": row["job"], "times": failures})
    if failures < FAILURES_ALLOWED:
        _send(engine, [row])
        return
    alone = len(row["items"]) == 1
    reason = (
        f"the worker died {failures} times while it worked on this item"
        if why is None
        else f"what was to be read of this item could not be, {failures} times: {why}"
    )

    def opening(tx: Connection, job: str, _numbers: Sequence[int]) -> None:
        if alone:
            subtasks.give_up(tx, job=job, batch=row["id"], reason=reason)
        else:
            subtasks.let_go(tx, job=job, batch=row["id"])
        batches.set_state(tx, batches=[row["id"]], to=BatchState.DROPPED, among=(BatchState.READY, BatchState.SENT))

    _again(engine, row["job"], row["items"], opening=opening, size=1, heirs_of=row["id"])


def _release_claim(engine: Context, batch: str, holder: str) -> None:
    """Note that the holder of a batch has died: the same death is not counted twice."""
    engine.redis.eval(_RELEASE, 1, engine.settings.keys.claim(batch), holder, LOST, str(CLAIM_S))


def _bequeath(engine: Context, batch: str, heirs: Sequence[str]) -> None:
    """Let the parts of a batch find the answers that were paid for it."""
    keys = engine.settings.keys
    pipe = engine.redis.pipeline(transaction=False)
    for heir in heirs:
        pipe.copy(keys.answers(batch), keys.answers(heir))
        pipe.set(keys.claim(heir), LOST, ex=CLAIM_S)
    pipe.execute()


def _send(engine: Context, rows: Sequence[RowMapping]) -> int:
    by_job: dict[str, list[str]] = {}
    for row in rows:
        by_job.setdefault(row["job"], []).append(row["id"])
    sent: list[str] = []

    def send(job_id: str) -> None:
        ids = by_job[job_id]
        for at in range(0, len(ids), _KEPT_BATCHES):
            with engine.db.writing() as tx:
                job = engine.job(tx, job_id)
                if not job.state.works:
                    return
                ready = publish.assembled(tx, job=job, ids=ids[at : at + _KEPT_BATCHES])
            publish.send_free(engine, job=job, made=ready)
            sent.extend(batch.id for batch in ready)

    for_each(engine, by_job, send, job_of=str)
    return len(sent)


def nudge(engine: Context) -> None:
    """Begin what was submitted and not begun, move windows whose chord is silent, close what is complete."""
    with engine.db.reading() as tx:
        submitted = [row["id"] for row in jobs.in_state(tx, states=[JobState.SUBMITTED])]
        running = [(row["id"], row["segment"]) for row in jobs.in_state(tx, states=WORKING)]
        silent = [
            (job, segment, n) for job, segment in running for n in batches.silent_shards(tx, job=job, segment=segment)
        ]
        complete = {pair for pair in running if batches.unclosed(tx, job=pair[0], segment=pair[1]) == 0}
    for_each(engine, submitted, lambda job: start(engine, job), job_of=str)
    for_each(engine, silent, lambda shard: _resume_shard(engine, *shard), job_of=lambda shard: shard[0])

    def move_on(at: tuple[str, int]) -> None:
        job_id, segment = at
        if at in complete:
            with engine.db.writing() as tx:
                job = engine.job(tx, job_id)
                if job.state.works and job.segment == segment < job.plan.segments:
                    advance(tx, job=job, segment=segment)
        release(engine, job_id)

    for_each(engine, running, move_on, job_of=lambda at: at[0])


def _resume_shard(engine: Context, job_id: str, segment: int, n: int) -> None:
    """Send what a shard has that nobody holds; move the window past it."""
    with engine.db.reading() as tx:
        shard = batches.get_shard(tx, job=job_id, segment=segment, n=n)
        numbers = items.pending(tx, job=job_id, segment=segment, lo=shard["lo"], hi=shard["hi"]) if shard else []
    if numbers:
        _again(engine, job_id, numbers, opening=lambda *_: None)
    passed(engine, job_id, segment, n)


#: How often, in beats of the sweep, and at which beat of these; in this order.
def _teach(engine: Context) -> None:
    """Look after students where a job has any; numpy and scipy are loaded for those only."""
    with engine.db.reading() as tx:
        wanted = [row["id"] for row in jobs.in_state(tx, states=WORKING)]
        students: list[Tier | None] = []
        for_each(engine, wanted, lambda job: students.append(engine.job(tx, job).profile.student), job_of=str)
    if not any(students):
        return
    from firstline.orchestrator.quality.students.school import SCHOOL

    SCHOOL.teach(engine)


def _look_after_families(engine: Context) -> None:
    """Look after families where there are any; numpy and scipy are loaded for those only."""
    with engine.db.reading() as tx:
        if not families.listed(tx):
            return
    from firstline.orchestrator.quality.families.shadow import look_after

    look_after(engine)


_DUTIES: tuple[tuple[int, int, Callable[[Context], object]], ...] = (
    (1, 0, wake_due),
    (4, 1, end_hopeless),
    (4, 1, lifecycle.let_go),
    (4, 1, provider_batches.fill),
    (4, 1, provider_batches.look_after),
    (4, 1, publish_outbox),
    (4, 1, resend_lost),
    (4, 1, nudge),
    (4, 2, _teach),
    (8, 3, _look_after_families),
    (40, 39, audits.sweep),
    (8, 7, looks.sweep),
)
