"""The producer API: submit a job, follow it, fetch its results; needs neither litellm nor a provider key."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from firstline.config.settings import Settings, get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.sharding import most_out
from firstline.orchestrator.engine import lifecycle, publish
from firstline.orchestrator.engine.receiving import receive
from firstline.orchestrator.engine.tracing import trace_plan
from firstline.orchestrator.engine.webhooks import refuse_bad_url
from firstline.orchestrator.money import budgets
from firstline.orchestrator.monitoring.obstacles import obstacles
from firstline.orchestrator.reports.decisions import Decision, decisions_of
from firstline.orchestrator.reports.report import make_report
from firstline.orchestrator.store import items as item_store
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store import reviews, views
from firstline.orchestrator.store import webhooks as webhook_store
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.migrate import migrate
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.job_plan import job_plan
from firstline.orchestrator.submission.quotas import room_of
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.job import ItemResult, ItemState, JobRequest, JobState, JobStatus, Rerun
from firstline.schemas.plan import Plan, Workflow
from firstline.schemas.report import Report
from firstline.schemas.tier import Profile

T = TypeVar("T")

#: Items written in one transaction.
_CHUNK = 1000
#: Seconds that a watcher bears with a database that does not answer.
_OUTAGE_S = 120.0
_NOT_TOLD = "Redis could not be reached; the job is kept and begins when an orchestrator reaches it"


@cache
def _engine(settings: Settings) -> Context:
    engine = Context(settings, producer=True)
    migrate(engine.db)
    return engine


def engine() -> Context:
    """Return this process's engine for the settings of the moment."""
    return _engine(get_settings())


def submit(
    request: JobRequest,
    items: Iterable[InputItem | JsonObject],
    *,
    folders: Sequence[Path] = (),
    body: str | None = None,
) -> str:
    """Write a job and its items, and have it begun; return its id.

    Items are streamed: an iterator of a million is written in constant memory. A request whose `idempotency_key` was
    seen before returns the job of that time and writes nothing; `body`, a digest of all that was asked, tells whether
    it is the same. UserError: unknown names, an invalid workflow, a key that stands for another request, a tenant that
    has as much at work as it may (OverQuotaError).
    """
    steering = engine()
    known = _known(steering, request, body)
    if known is not None:
        return known
    if request.options.webhook_url is not None:
        refuse_bad_url(request.options.webhook_url, steering.settings)
    began = now()
    with steering.db.reading() as tx:
        asked = job_plan(tx, request, functions=folders)
    if isinstance(items, Sequence):
        # Of what is streamed nothing can be known before; its producers look at their file first.
        asked.refuse_misfit(items)
    row, options = asked.row(body=body), asked.request.options
    try:
        with steering.db.writing() as tx:
            room = room_of(tx, request=asked.request, settings=steering.settings)
            job_store.insert(tx, row=row)
            if options.webhook_url is not None:
                webhook_store.expect(tx, job=row.id, url=options.webhook_url)
    except IntegrityError:
        return submit(request, items, folders=folders, body=body)
    trace_plan(steering.tracer, row.id, asked.plan, began=began)
    dedupe = options.dedupe and asked.earlier is not None
    taking = asked.earlier if options.rerun is Rerun.CHANGED else None
    count = receive(steering, row.id, items, dedupe=dedupe, room=room, earlier=taking)
    _begin(steering, row.id, count)
    return row.id


def _known(steering: Context, request: JobRequest, body: str | None) -> str | None:
    """Return the job that a request's idempotency key stands for; UserError where it was used for another request."""
    if request.idempotency_key is None:
        return None
    with steering.db.reading() as tx:
        known = job_store.with_key(tx, idempotency_key=request.idempotency_key)
        before = job_store.request_digest(tx, job=known) if known is not None else None
    if body is not None and before is not None and body != before:
        raise UserError(
            f"the idempotency key was used for job {known} with another request; send each request under a key of its "
            "own"
        )
    return known


def _begin(steering: Context, job: str, count: int) -> None:
    """Begin a job of one item here and now, have an orchestrator begin any other.

    What of it cannot be done now, because Redis or the database is away, a sweep does later; the job says so.
    """
    try:
        if count == 1:
            # It saves the way through the orchestrators' queue; more items are more work than a producer should do.
            lifecycle.start(steering, job)
        else:
            publish.task(steering, publish.START, job).apply_async(retry=False)
    except (*publish.UNREACHABLE, InfrastructureError):
        with suppress(InfrastructureError), steering.db.writing() as tx:
            job_store.say(tx, job=job, reason=_NOT_TOLD)


def status(job: str) -> JobStatus:
    """Return a job as it stands."""
    with engine().db.reading() as tx:
        return job_store.status(tx, job=job)


def explained(statuses: Iterable[JobStatus]) -> list[JobStatus]:
    """Return statuses with what each job waits for: workers, models, limits, money, a person, Redis."""
    known = list(statuses)
    found = obstacles(engine(), [one.job for one in known if not one.state.ended])
    return [one.evolve(waits_for=tuple(each.sentence for each in found.get(one.job, ()))) for one in known]


def watch(job: str, *, poll_s: float = 0.2, beat_s: float = math.inf) -> Iterator[JobStatus]:
    """Yield the job's status whenever it changed; end when the job has ended, is paused or waits only for people.

    `beat_s`: yield it again when nothing has changed for so many seconds.
    """
    last: JobStatus | None = None
    yielded_at = time.monotonic()
    while True:
        said = through_outages(partial(status, job))
        if said != last or time.monotonic() - yielded_at >= beat_s:
            yield said
            yielded_at = time.monotonic()
        last = said
        if said.rests:
            return
        # A count over many items costs something: a larger job is looked at less often.
        time.sleep(poll_s if said.items < 5000 else max(poll_s, 1.0))


def through_outages(look: Callable[[], T]) -> T:
    """Look again while the database is away: its restart ends nobody's watching. InfrastructureError after minutes."""
    until = time.monotonic() + _OUTAGE_S
    while True:
        try:
            return look()
        except InfrastructureError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def results(job: str, *, skip: int = 0) -> Iterator[ItemResult]:
    """Yield every item's result in order but the first `skip`, the whole job's last; streamed, in constant memory."""
    return (result for _, result in results_beside(job, skip=skip))


def results_beside(job: str, *, skip: int = 0, patient: bool = False) -> Iterator[tuple[JsonObject, ItemResult]]:
    """Yield what `results` does, each beside its item's input; `patient`: through the database's outages."""
    read = through_outages if patient else _at_once
    most = read(partial(_chunk_of, job))
    after = skip - 1
    while True:
        rows = read(partial(_items, job, after, most))
        if not rows:
            break
        yield from ((row["input"], _result(row)) for row in rows)
        after = rows[-1]["n"]
    lowest = read(partial(_items, job, WHOLE_JOB - 1, 1))
    if lowest and lowest[0]["n"] == WHOLE_JOB and lowest[0]["output"] is not None:
        yield lowest[0]["input"], _result(lowest[0])


def _at_once(look: Callable[[], T]) -> T:
    return look()


def _chunk_of(job: str) -> int:
    """Return how many of a job's items may be held at once."""
    with engine().db.reading() as tx:
        return most_out(job_store.light(tx, job=job)["shard_items"]) or _CHUNK


def _items(job: str, after: int, limit: int) -> list[RowMapping]:
    with engine().db.reading() as tx:
        return views.stream(tx, job=job, after=after, limit=limit)


def _result(row: Any) -> ItemResult:
    unknown = row["unpriced"] > 0 and row["cost_usd"] == 0
    return ItemResult(
        item_id=row["item_id"],
        status=ItemState(row["state"]),
        output=row["output"],
        tier=row["tier"],
        confidence=row["confidence"],
        attempts=row["attempts"],
        cost_usd=None if unknown else row["cost_usd"],
        latency_s=item_store.latency_s(row),
        reason=row["reason"],
        repaired=bool(row["repaired"]),
    )


def item_number(tx: Connection, job: str, item: str) -> int:
    """Return an item's number by its id, or by its place (`#137`, from 1); UserError when there is none."""
    job_store.light(tx, job=job)
    number = reviews.number_of(tx, job=job, item_id=item)
    if number is None and item.startswith("#") and item[1:].isdecimal():
        number = int(item[1:]) - 1 if views.item(tx, job=job, n=int(item[1:]) - 1) else None
    if number is None:
        raise UserError(f"job {job} has no item '{item}'; `firstline results {job}` lists them; #1 is the first")
    return number


def cancel(job: str, *, reason: str = "cancelled by a person") -> bool:
    """End a job; return whether there was anything to end."""
    return lifecycle.cancel(engine(), job, reason=reason)


def pause(job: str, *, reason: str = "paused by a person") -> bool:
    """Stop a job's work until it is resumed; return whether it was running."""
    return lifecycle.pause(engine(), job, reason=reason)


def resume(job: str) -> bool:
    """Go on with a paused job; return whether it was paused."""
    return lifecycle.resume(engine(), job)


def approve(job: str) -> bool:
    """Say yes to a planner's plan; return whether one waited for it."""
    return lifecycle.approve(engine(), job)


def raise_budget(job: str, usd: float) -> float:
    """Raise a job's cap by so many dollars, and go on if it was paused; return the new cap."""
    steering = engine()
    with steering.db.writing() as tx:
        row = job_store.get(tx, job=job, lock=True)
        if row["budget_usd"] is None:
            raise UserError(f"job {job} has no budget; nothing holds it back")
        cap_usd = float(row["budget_usd"]) + usd
        job_store.change(tx, job=job, budget_usd=cap_usd)
        changed = steering.job(tx, job)
    if steering.settings.redis_url is not None:
        try:
            budgets.tell(steering, changed)
        except publish.UNREACHABLE:
            raise InfrastructureError(
                f"the budget of job {job} is {cap_usd:g} dollars now, and Redis could not be reached to tell workers; "
                f"`firstline resume {job}` does it when Redis is back"
            ) from None
        lifecycle.resume(steering, job)
    return cap_usd


def retry(job: str, *, items: Sequence[str] | None = None) -> int:
    """Try failed items again (all of them, or those with these ids); what has settled is not paid for again."""
    return lifecycle.retry(engine(), job, item_ids=items)


def report(job: str) -> Report:
    """Return what a job cost and how well it went."""
    with engine().db.reading() as tx:
        return make_report(tx, job=job)


def decisions(job: str) -> list[Decision]:
    """Return what was decided in a job besides verdicts on single answers, in order."""
    with engine().db.reading() as tx:
        return decisions_of(tx, job=job)


def profile(job: str) -> Profile:
    """Return the ladder that a job runs on."""
    with engine().db.reading() as tx:
        return Profile.model_validate(job_store.get(tx, job=job)["profile"])


def jobs(limit: int = 50, *, states: Sequence[JobState] = ()) -> list[JobStatus]:
    """Return the newest jobs (in these states; none: in any), newest first."""
    with engine().db.reading() as tx:
        found = views.job_ids(tx, tenant=None, states=[state.value for state in states], limit=limit)
        return [job_store.status(tx, job=job) for job in found]


def preview(request: JobRequest) -> Plan:
    """Return the plan that a job of this request would have; UserError for a goal, whose plan a model has to write."""
    if not isinstance(request.workflow, Workflow) or request.profile is None:
        raise UserError(
            "the plan of a goal is written by a model, as a part of the job: submit it with `approve: true`, and it "
            "waits for your yes"
        )
    with api.engine().db.reading() as tx:
        return job_plan(tx, request).plan
