"""Tiers of kind `batch`: what waits for one fills a bulk, is submitted, looked after, and goes on with its answers."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.engine import lifecycle, publish
from firstline.orchestrator.engine.apply import conclude
from firstline.orchestrator.engine.messages import assemble
from firstline.orchestrator.money import budgets
from firstline.orchestrator.store import batches, jobs
from firstline.orchestrator.store import bulks as store
from firstline.schemas.batch import Batch
from firstline.schemas.provider_batch import BulkAct, BulkNews, BulkOrder, BulkState
from firstline.schemas.verdict import DeferCause
from firstline.workers.rules.policy import above

#: Seconds after which a worker that was told to do something and said nothing is told again.
_LEASE_S = 10.0
_ACTS = {
    BulkState.SUBMITTING: BulkAct.SUBMIT,
    BulkState.SUBMITTED: BulkAct.LOOK,
    BulkState.ENDED: BulkAct.COLLECT,
}


def fill(engine: Context) -> int:
    """Make bulks of what waits for one: as soon as one is full, or its oldest request has waited long enough."""
    with engine.db.reading() as tx:
        waiting: dict[tuple[str, str], list[RowMapping]] = {}
        for row in store.filling(tx):
            waiting.setdefault((row["job"], row["tier"]), []).append(row)
    made: list[int] = []
    for_each(
        engine, waiting, lambda key: made.append(_fill(engine, *key, waiting[key])), job_of=lambda key: str(key[0])
    )
    return sum(made)


def _fill(engine: Context, job_id: str, tier: str, rows: list[RowMapping]) -> int:
    with engine.db.writing() as tx:
        jobs.hold(tx, job=job_id)
        job, now = engine.job(tx, job_id), jobs.clock(tx)
        if not job.state.works:
            return 0
        terms = job.tier(tier).bulk
        deadline, higher = jobs.get(tx, job=job_id)["deadline"], above(tier, job.ladder)
        is_late = deadline is not None and deadline - now < timedelta(seconds=terms.window_s)
        ready = _lift(tx, job, rows, higher) if is_late and higher is not None else []
        made = 0 if ready else _make(tx, job, tier, rows, now)
    publish.send_free(engine, job=job, made=ready)
    return made


def _make(tx: Connection, job: Job, tier: str, rows: Sequence[RowMapping], now: datetime) -> int:
    terms, made = job.tier(tier).bulk, 0
    while rows:
        full = _first(rows, terms.requests)
        requests = sum(row["size"] for row in full)
        is_old = now - rows[0]["changed_at"] >= timedelta(seconds=terms.fill_s)
        if len(full) == len(rows) and requests < terms.requests and not is_old:
            break
        bulk = store.row(bulk=secrets.token_hex(8), job=job.id, tier=tier, requests=requests, at=now)
        store.insert(tx, row=bulk, batches=[row["id"] for row in full])
        rows, made = rows[len(full) :], made + 1
    return made


def _first(rows: Sequence[RowMapping], requests: int) -> list[RowMapping]:
    """Return the first batches that make a bulk full, at least one."""
    taken: list[RowMapping] = []
    size = 0
    for row in rows:
        if taken and size + row["size"] > requests:
            break
        taken.append(row)
        size += row["size"]
    return taken


def _lift(tx: Connection, job: Job, rows: Sequence[RowMapping], tier: str) -> list[Batch]:
    """Let batches that there is no more time for climb to a tier that answers at once; return the messages."""
    ids = [row["id"] for row in rows]
    store.lift(tx, job=job.id, batches=ids, tier=tier)
    batches.set_state(tx, batches=ids, to="dropped", among=("filling",))
    made: list[str] = []
    for row in rows:
        made += conclude(tx, job=job, segment=row["segment"], shard=row["shard"], numbers=row["items"]).batches
    return publish.assembled(tx, job=job, ids=made)


def collect_again(engine: Context, lost: Sequence[RowMapping]) -> list[RowMapping]:
    """Have the provider asked again for answers that Redis lost before they were judged; return the other batches."""
    mine = [row for row in lost if row["bulk"] is not None]
    pipe = engine.redis.pipeline(transaction=False)
    for row in mine:
        pipe.exists(engine.settings.keys.answers(row["id"]))
    gone = [row["id"] for row, kept in zip(mine, pipe.execute(), strict=True) if not kept]
    if gone:
        with engine.db.writing() as tx:
            store.reopen(tx, batches=gone)
    return [row for row in lost if row["id"] not in gone]


def look_after(engine: Context) -> int:
    """Have workers submit, look after, collect or cancel the bulks whose time has come; return how many."""
    with engine.db.reading() as tx:
        due = store.due(tx)
    told: list[str] = []

    def tell(row: RowMapping) -> None:
        with engine.db.writing() as tx:
            order = _order(tx, engine, row)
        if order is not None:
            publish.bulk(engine, order).apply_async()
            told.append(order.id)

    for_each(engine, due, tell, job_of=lambda row: str(row["job"]))
    return len(told)


def _order(tx: Connection, engine: Context, row: RowMapping) -> BulkOrder | None:
    job, state, now = engine.job(tx, row["job"]), BulkState(row["state"]), jobs.clock(tx)
    act = _ACTS[state]
    if job.state.ended:
        store.change(tx, bulk=row["id"], among=[state], state=BulkState.DROPPED.value, ended_at=now)
        if row["provider_id"] is None:
            return None
        act = BulkAct.CANCEL
    if act is BulkAct.SUBMIT and not job.state.works:
        return None
    made = _made_of(tx, job, row["id"]) if act in (BulkAct.SUBMIT, BulkAct.COLLECT) else ()
    store.change(tx, bulk=row["id"], among=[state], due_at=now + timedelta(seconds=_LEASE_S))
    return BulkOrder(
        id=row["id"],
        act=act,
        job=job.id,
        tier=job.tier(row["tier"]),
        batches=made,
        model=row["model"],
        provider_id=row["provider_id"],
        reserved_usd=row["reserved_usd"],
        created_at=row["created_at"],
    )


def _made_of(tx: Connection, job: Job, bulk: str) -> tuple[Batch, ...]:
    made = (assemble(tx, job=job, row=row) for row in store.batches_of(tx, bulk=bulk))
    return tuple(batch for batch in made if batch is not None)


def hear(engine: Context, news: BulkNews) -> None:
    """Note what a worker says of a bulk; when its answers are there, its batches go on like any others."""
    ready: list[Batch] = []
    with engine.db.writing() as tx:
        jobs.hold(tx, job=news.job)
        row, job = store.get(tx, bulk=news.id), engine.job(tx, news.job)
        if row is None:
            return
        match news.state:
            case BulkState.SUBMITTED:
                _submitted(tx, job, row, news)
            case BulkState.ENDED:
                among = [BulkState.SUBMITTED]
                store.change(tx, bulk=news.id, among=among, state=news.state.value, due_at=jobs.clock(tx))
            case BulkState.COLLECTED:
                ready = _go_on(tx, job, news)
            case BulkState.REFUSED:
                _refused(tx, job, news)
            case BulkState.SUBMITTING | BulkState.DROPPED:
                return
    publish.send_free(engine, job=job, made=ready)
    if news.defer is not None and news.defer.cause is DeferCause.BUDGET_UNKNOWN:
        budgets.tell(engine, job)


def _submitted(tx: Connection, job: Job, row: RowMapping, news: BulkNews) -> None:
    told = {"model": news.model, "provider_id": news.provider_id, "reserved_usd": news.reserved_usd}
    known = {name: value for name, value in told.items() if value is not None}
    due_at = jobs.clock(tx) + timedelta(seconds=job.tier(row["tier"]).bulk.poll_s)
    among = [BulkState.SUBMITTING, BulkState.SUBMITTED]
    if row["state"] == BulkState.SUBMITTING.value:
        known["requests"] = news.requests
    store.change(tx, bulk=news.id, among=among, state=news.state.value, due_at=due_at, reason=news.reason, **known)


def _go_on(tx: Connection, job: Job, news: BulkNews) -> list[Batch]:
    """Send the batches of a bulk whose answers are kept; what came back unanswered waits for the next one."""
    among = [BulkState.SUBMITTING, BulkState.SUBMITTED, BulkState.ENDED]
    told = {"answered": news.answered, "reason": news.reason, "ended_at": jobs.clock(tx)}
    ids = [row["id"] for row in store.batches_of(tx, bulk=news.id)]
    if not store.change(tx, bulk=news.id, among=among, state=news.state.value, **told):
        return []
    batches.set_state(tx, batches=ids, to="ready", among=("bulked",))
    return publish.assembled(tx, job=job, ids=ids) if job.state.works else []


def _refused(tx: Connection, job: Job, news: BulkNews) -> None:
    """Let the batches of a bulk that could not be submitted wait for the next one, and say why."""
    ids = [row["id"] for row in store.batches_of(tx, bulk=news.id)]
    reason = news.defer.reason if news.defer else news.reason
    told = {"reason": reason, "ended_at": jobs.clock(tx)}
    if not store.change(tx, bulk=news.id, among=[BulkState.SUBMITTING], state=news.state.value, **told):
        return
    batches.set_state(tx, batches=ids, to="filling", among=("bulked",))
    if news.defer is not None and news.defer.cause is DeferCause.BUDGET and news.defer.wait_s == 0:
        lifecycle.stop_at(tx, job, news.defer)
    elif reason is not None:
        jobs.say(tx, job=job.id, reason=reason)
