"""Figures of a job, counted from its attempts and items."""

from collections import Counter
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, RowMapping, and_, case, func, select

from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.workers.rules.policy import without_why

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_audit = AuditRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def by_model(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return attempts, tokens and dollars by model, tier, skill, purpose, verdict, error, response cache and lane."""
    query = (
        select(
            _attempt.c.model,
            _attempt.c.tier,
            _attempt.c.skill,
            _attempt.c.purpose,
            _attempt.c.verdict,
            _attempt.c.error,
            _attempt.c.from_cache,
            _attempt.c.service_tier,
            func.count().label("attempts"),
            func.count(_attempt.c.cost_usd).label("priced"),
            func.coalesce(func.sum(_attempt.c.input_tokens), 0).label("input_tokens"),
            func.coalesce(func.sum(_attempt.c.cached_tokens), 0).label("cached_tokens"),
            func.coalesce(func.sum(_attempt.c.cache_write_tokens), 0).label("cache_write_tokens"),
            func.coalesce(func.sum(_attempt.c.output_tokens), 0).label("output_tokens"),
            func.coalesce(func.sum(_attempt.c.cost_usd), 0.0).label("cost_usd"),
            func.coalesce(func.sum(_attempt.c.saved_usd), 0.0).label("saved_usd"),
        )
        .where(_attempt.c.job == job)
        .group_by(
            _attempt.c.model,
            _attempt.c.tier,
            _attempt.c.skill,
            _attempt.c.purpose,
            _attempt.c.verdict,
            _attempt.c.error,
            _attempt.c.from_cache,
            _attempt.c.service_tier,
        )
    )
    return list(tx.execute(query).mappings())


def latencies(tx: Connection, *, job: str) -> list[tuple[str, str, float]]:
    """Return (model, tier, seconds) of every call that was made."""
    query = select(_attempt.c.model, _attempt.c.tier, _attempt.c.latency_s)
    query = query.where(_attempt.c.job == job, _attempt.c.from_cache.is_(False))
    return [(model, tier, latency_s) for model, tier, latency_s in tx.execute(query)]


def answers_once(tx: Connection, *, jobs: Collection[str]) -> list[RowMapping]:
    """Return (job, step, answers, input, cached and output tokens) of one answer for each item and step.

    Of a subtask these are the prompt that it was first asked with, before any feedback, and the answer that was
    accepted last, whatever was asked in between, or else its last answer: who is asked alone answers that item too.
    Answers of the response cache are left out.
    """
    asked = (
        _attempt.c.job.in_(jobs),
        _attempt.c.purpose == "answer",
        _attempt.c.from_cache.is_(False),
        _attempt.c.input_tokens.is_not(None),
    )
    last_n = func.coalesce(func.max(case((_attempt.c.verdict == "accept", _attempt.c.n))), func.max(_attempt.c.n))
    key = (_attempt.c.job, _attempt.c.item, _attempt.c.step)
    once = (
        select(*key, func.min(_attempt.c.n).label("first"), last_n.label("last"))
        .where(*asked)
        .group_by(*key)
        .subquery()
    )
    first, last = _attempt.alias("first"), _attempt.alias("last")
    query = select(
        once.c.job,
        once.c.step,
        func.count().label("answers"),
        func.sum(first.c.input_tokens).label("input_tokens"),
        func.coalesce(func.sum(first.c.cached_tokens), 0).label("cached_tokens"),
        func.coalesce(func.sum(last.c.output_tokens), 0).label("output_tokens"),
    )
    for attempt, n in ((first, once.c.first), (last, once.c.last)):
        same = (attempt.c.job == once.c.job, attempt.c.item == once.c.item, attempt.c.step == once.c.step)
        query = query.join(attempt, and_(*same, attempt.c.n == n))
    return list(tx.execute(query.group_by(once.c.job, once.c.step)).mappings())


def audit_cost(tx: Connection, *, job: str) -> float:
    """Return what the audits of a job's answers cost, their judges, and the looks of reviewers while it ran."""
    audits = tx.scalar(select(func.sum(_audit.c.cost_usd)).where(_audit.c.job == job)) or 0.0
    mine = _job.c.idempotency_key.startswith(f"look:{job}:", autoescape=True)
    looks = select(func.sum(_attempt.c.cost_usd)).join(_job, _job.c.id == _attempt.c.job).where(mine)
    return float(audits + (tx.scalar(looks) or 0.0))


def accepted_by(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return `answers`, those accepted of each step, tier and model."""
    places = (_attempt.c.step, _attempt.c.tier, _attempt.c.model)
    query = select(*places, func.count().label("answers")).where(
        _attempt.c.job == job, _attempt.c.purpose == "answer", _attempt.c.verdict == "accept"
    )
    return list(tx.execute(query.group_by(*places).order_by(*places)).mappings())


def failures(tx: Connection, *, job: str) -> dict[str, int]:
    """Return how often each reason ended an item, what is one item's own left out."""
    query = (
        select(_item.c.reason, func.count())
        .where(_item.c.job == job, _item.c.state == "failed", _item.c.n >= 0)
        .group_by(_item.c.reason)
    )
    found: Counter[str] = Counter()
    for reason, count in tx.execute(query):
        found[without_why(str(reason or "unknown"))] += int(count)
    return dict(found.most_common())


def duplicates(tx: Connection, *, job: str) -> int:
    """Return how many items took over another one's result."""
    query = select(func.count()).where(_item.c.job == job, _item.c.same_as.is_not(None))
    return int(tx.scalar(query) or 0)


def ended_items(tx: Connection, *, job: str) -> Iterator[RowMapping]:
    """Yield the items with what is needed to time and to score them."""
    query = select(
        _item.c.input,
        _item.c.output,
        _item.c.state,
        _item.c.started_at,
        _item.c.ended_at,
        _item.c.same_as,
        _job.c.breaks,
    ).join(_job, _job.c.id == _item.c.job)
    query = query.where(_item.c.job == job, _item.c.n >= 0)
    yield from tx.execution_options(yield_per=1000).execute(query).mappings()
