"""Tiers of kind `batch`: what waits for one fills a provider batch, which is handed in, looked after and collected."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.each_job import for_each
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.engine import lifecycle, publish
from firstline.orchestrator.engine.apply import Place, apply
from firstline.orchestrator.engine.messages import assemble
from firstline.orchestrator.engine.senders import Senders, refuse_other_tiers
from firstline.orchestrator.money import budgets
from firstline.orchestrator.store import batches, decisions, jobs
from firstline.orchestrator.store import provider_batches as store
from firstline.schemas.batch import Batch
from firstline.schemas.provider_batch import (
    ProviderBatchAct,
    ProviderBatchNews,
    ProviderBatchOrder,
    ProviderBatchState,
)
from firstline.schemas.states import BatchState
from firstline.schemas.tier import ProviderBatchTerms
from firstline.schemas.verdict import DeferCause
from firstline.workers.rules.lanes import fits, left_s
from firstline.workers.rules.policy import above

#: Seconds after which a worker that was told to do something and shows no lease on it is told again.
_SILENT_S = 10.0
#: Provider batches in a row that bring nothing, before what waits climbs to a tier that answers at once.
PATIENCE = 4
#: Seconds to wait at most after one that brought nothing.
_LONGEST_WAIT_S = 3600.0
_ACTS = {
    ProviderBatchState.SUBMITTING: ProviderBatchAct.SUBMIT,
    ProviderBatchState.SUBMITTED: ProviderBatchAct.LOOK,
    ProviderBatchState.ENDED: ProviderBatchAct.COLLECT,
}


def fill(engine: Context) -> int:
    """Make provider batches of what waits: as soon as one is full, or its oldest request has waited long enough."""
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
        made, ready = 0, []
        if (why := _climbs(tx, job, tier, now)) is not None:
            ready = _lift(tx, job, tier, rows, why)
        elif now >= _next_at(tx, job, tier):
            made = _make(tx, job, tier, rows, now)
    publish.send_free(engine, job=job, made=ready)
    return made


def _climbs(tx: Connection, job: Job, tier: str, now: datetime) -> str | None:
    """Return why what waits for a tier does not wait any longer; None where it does."""
    if above(tier, job.ladder) is None:
        return None
    if job.deadline is not None and not fits(job.tier(tier), left_s(job.deadline, now)):
        return f"the deadline leaves no time for the Batch API of tier '{tier}'"
    failed = _failed(tx, job, tier)
    if len(failed) < PATIENCE:
        return None
    return f"the Batch API of tier '{tier}' brought nothing {len(failed)} times: {failed[0]['reason'] or 'no answers'}"


def _failed(tx: Connection, job: Job, tier: str) -> list[RowMapping]:
    """Return the latest provider batches in a row that brought nothing by the provider's fault, newest first."""
    rows = store.latest(tx, job=job.id, tier=tier, limit=PATIENCE)
    return list(takewhile(lambda row: row["failed"], rows))


def _next_at(tx: Connection, job: Job, tier: str) -> datetime:
    """Return when the next provider batch may be handed in: twice as late after each one that brought nothing."""
    failed = _failed(tx, job, tier)
    if not failed:
        return datetime.min.replace(tzinfo=UTC)
    ended_at: datetime = failed[0]["ended_at"]
    return ended_at + timedelta(seconds=backoff_s(len(failed), job.tier(tier).bulk))


def backoff_s(failed: int, terms: ProviderBatchTerms) -> float:
    """Return the seconds to wait after so many provider batches in a row that brought nothing."""
    return min(_LONGEST_WAIT_S, max(terms.fill_s, terms.poll_s) * 2.0 ** (failed - 1))


def _make(tx: Connection, job: Job, tier: str, rows: Sequence[RowMapping], now: datetime) -> int:
    terms, made = job.tier(tier).bulk, 0
    most = min(terms.requests, store.fitting(tx, job=job.id, tier=tier) or terms.requests)
    while rows:
        full = _first(rows, most)
        requests = sum(row["size"] for row in full)
        is_old = now - rows[0]["changed_at"] >= timedelta(seconds=terms.fill_s)
        if len(full) == len(rows) and requests < most and not is_old:
            break
        row = store.row(name=secrets.token_hex(8), job=job.id, tier=tier, requests=requests, at=now)
        store.insert(tx, row=row, batches=[batch["id"] for batch in full])
        rows, made = rows[len(full) :], made + 1
    return made


def _first(rows: Sequence[RowMapping], requests: int) -> list[RowMapping]:
    """Return the first batches that make a provider batch full, at least one."""
    taken: list[RowMapping] = []
    size = 0
    for row in rows:
        if taken and size + row["size"] > requests:
            break
        taken.append(row)
        size += row["size"]
    return taken


def _lift(tx: Connection, job: Job, tier: str, rows: Sequence[RowMapping], why: str) -> list[Batch]:
    """Let what waits climb to the next tier, and say why; return the messages."""
    ids, higher = [row["id"] for row in rows], above(tier, job.ladder)
    store.lift(tx, job=job.id, batches=ids, tier=str(higher))
    batches.set_state(tx, batches=ids, to=BatchState.DROPPED, among=(BatchState.FILLING,))
    made: list[str] = []
    for row in rows:
        made += apply(tx, Place(job, row["segment"], row["shard"]), row["items"]).batches
    decisions.note(tx, job=job.id, kind="batch", by="engine", choice=f"climb to {higher}", reason=why)
    jobs.say(tx, job=job.id, reason=why)
    return publish.assembled(tx, job=job, ids=made)


def collect_again(engine: Context, lost: Sequence[RowMapping]) -> list[RowMapping]:
    """Have the provider asked again for answers that Redis lost before they were judged; return the other batches."""
    mine = [row for row in lost if row["provider_batch"] is not None]
    pipe = engine.redis.pipeline(transaction=False)
    for row in mine:
        pipe.exists(engine.settings.keys.answers(row["id"]))
    gone = [row["id"] for row, kept in zip(mine, pipe.execute(), strict=True) if not kept]
    if gone:
        with engine.db.writing() as tx:
            store.reopen(tx, batches=gone)
    return [row for row in lost if row["id"] not in gone]


def look_after(engine: Context) -> int:
    """Have workers hand in, look after, collect or cancel what is due and nobody is at; return how much."""
    with engine.db.reading() as tx:
        due = store.due(tx)
    leases = engine.redis.mget([engine.settings.keys.lease(row["id"]) for row in due]) if due else []
    held = {row["id"] for row, lease in zip(due, leases, strict=True) if lease is not None}
    told: list[str] = []

    def tell(row: RowMapping) -> None:
        with engine.db.writing() as tx:
            if row["id"] in held:
                _put_off(tx, row)
                return
            order = _order(tx, engine, row)
        if order is not None:
            publish.provider_batch(engine, order).apply_async()
            told.append(order.id)

    for_each(engine, due, tell, job_of=lambda row: str(row["job"]))
    return len(told)


def _put_off(tx: Connection, row: RowMapping) -> None:
    """Leave alone what a worker is at."""
    at = jobs.clock(tx) + timedelta(seconds=_SILENT_S)
    store.change(tx, name=row["id"], among=[ProviderBatchState(row["state"])], due_at=at)


def _order(tx: Connection, engine: Context, row: RowMapping) -> ProviderBatchOrder | None:
    job, state, now = engine.job(tx, row["job"]), ProviderBatchState(row["state"]), jobs.clock(tx)
    act = _ACTS[state]
    if job.state.ended:
        dropped = {"state": ProviderBatchState.DROPPED.value, "ended_at": now}
        store.change(tx, name=row["id"], among=[state], **dropped)
        if row["provider_id"] is None:
            return None
        act = ProviderBatchAct.CANCEL
    if act is ProviderBatchAct.SUBMIT and not job.state.works:
        return None
    carried = act in (ProviderBatchAct.SUBMIT, ProviderBatchAct.COLLECT)
    made = tuple(_made_of(tx, job, row["id"])) if carried else ()
    tries = row["tries"] + (act is ProviderBatchAct.SUBMIT)
    store.change(tx, name=row["id"], among=[state], due_at=now + timedelta(seconds=_SILENT_S), tries=tries)
    return ProviderBatchOrder(
        id=row["id"],
        act=act,
        job=job.id,
        tier=job.tier(row["tier"]),
        batches=made,
        model=row["model"],
        provider_id=row["provider_id"],
        reserved_usd=row["reserved_usd"],
        requests=row["requests"],
        tries=row["tries"],
        created_at=row["created_at"],
    )


def _made_of(tx: Connection, job: Job, name: str) -> Iterator[Batch]:
    for row in store.batches_of(tx, name=name):
        if (batch := assemble(tx, job=job, row=row)) is not None:
            yield batch


def hear(engine: Context, news: ProviderBatchNews, senders: Senders = None) -> None:
    """Note what a worker says of a provider batch; when its answers are there, its batches go on like any others."""
    ready: list[Batch] = []
    with engine.db.writing() as tx:
        jobs.hold(tx, job=news.job)
        row, job = store.get(tx, name=news.id), engine.job(tx, news.job)
        if row is None:
            return
        refuse_other_tiers(job, row["tier"], senders)
        match news.state:
            case ProviderBatchState.SUBMITTED:
                _submitted(tx, job, row, news)
            case ProviderBatchState.ENDED:
                among = [ProviderBatchState.SUBMITTED]
                store.change(tx, name=news.id, among=among, state=news.state.value, due_at=jobs.clock(tx))
            case ProviderBatchState.COLLECTED:
                ready = _go_on(tx, job, news)
            case ProviderBatchState.REFUSED:
                _refused(tx, job, news)
            case ProviderBatchState.SUBMITTING | ProviderBatchState.DROPPED:
                return
    publish.send_free(engine, job=job, made=ready)
    if news.defer is not None and news.defer.cause is DeferCause.BUDGET_UNKNOWN:
        budgets.tell(engine, job)


def _submitted(tx: Connection, job: Job, row: RowMapping, news: ProviderBatchNews) -> None:
    told = {"model": news.model, "provider_id": news.provider_id, "reserved_usd": news.reserved_usd}
    known = {name: value for name, value in told.items() if value is not None}
    due_at = jobs.clock(tx) + timedelta(seconds=job.tier(row["tier"]).bulk.poll_s)
    if row["state"] == ProviderBatchState.SUBMITTING.value:
        known["requests"] = news.requests
    state = news.state.value
    store.change(tx, name=news.id, among=news.state.before, state=state, due_at=due_at, reason=news.reason, **known)


def _go_on(tx: Connection, job: Job, news: ProviderBatchNews) -> list[Batch]:
    """Send the batches whose answers are kept; what came back unanswered waits for the next provider batch."""
    nothing = news.requests > 0 and news.answered == 0
    told = {"answered": news.answered, "reason": news.reason, "ended_at": jobs.clock(tx), "failed": nothing}
    ids = [row["id"] for row in store.batches_of(tx, name=news.id)]
    if not store.change(tx, name=news.id, among=news.state.before, state=news.state.value, **told):
        return []
    if nothing:
        _say(tx, job, news)
    batches.set_state(tx, batches=ids, to=BatchState.READY, among=(BatchState.HANDED_IN,))
    return publish.assembled(tx, job=job, ids=ids) if job.state.works else []


def _refused(tx: Connection, job: Job, news: ProviderBatchNews) -> None:
    """Let the batches of what could not be handed in wait for the next one, and say why."""
    ids = [row["id"] for row in store.batches_of(tx, name=news.id)]
    reason = news.defer.reason if news.defer else news.reason
    # A budget, or a worker that cannot do it, is nobody's failure; only the provider's own words are.
    told = {"reason": reason, "ended_at": jobs.clock(tx), "failed": news.reason is not None and news.fits is None}
    if not store.change(tx, name=news.id, among=news.state.before, state=news.state.value, fits=news.fits, **told):
        return
    batches.set_state(tx, batches=ids, to=BatchState.FILLING, among=(BatchState.HANDED_IN,))
    if news.defer is not None and news.defer.cause is DeferCause.BUDGET and news.defer.wait_s == 0:
        lifecycle.stop_at(tx, job, news.defer)
    elif reason is not None:
        _say(tx, job, news)


def _say(tx: Connection, job: Job, news: ProviderBatchNews) -> None:
    """Tell the job's people what the provider said."""
    reason = news.defer.reason if news.defer else news.reason
    jobs.say(tx, job=job.id, reason=f"the Batch API says: {reason or 'nothing came back'}")
