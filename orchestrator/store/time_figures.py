"""Figures over time: calls, dollars and items in equal spans, and how models did day by day."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, RowMapping, and_, case, cast, extract, func, select

from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.schemas.attempt import UNANSWERED, WRONG_ANSWERS

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]

#: Upper edges, in seconds, of the spans that calls are counted in; the last span is open.
EDGES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)


def _begin(column: ColumnElement[Any], span_s: int) -> ColumnElement[int]:
    """Return the Unix second at which the span of a time begins."""
    epoch = extract("epoch", column)
    return cast(epoch - epoch % span_s, Integer)


def dollars(tx: Connection, *, job: str, span_s: int) -> dict[str, dict[int, float]]:
    """Return tier -> beginning of a span -> dollars of the calls in it."""
    begin = _begin(_attempt.c.started_at, span_s)
    query = select(_attempt.c.tier, begin, func.coalesce(func.sum(_attempt.c.cost_usd), 0.0))
    return _by_time(tx, query.where(_attempt.c.job == job).group_by(_attempt.c.tier, begin))


def items_ended(tx: Connection, *, job: str, span_s: int) -> dict[str, dict[int, float]]:
    """Return tier (`failed` for those that failed) -> beginning of a span -> items that ended in it."""
    begin = _begin(_item.c.ended_at, span_s)
    tier = case((_item.c.state == "settled", func.coalesce(_item.c.tier, "")), else_=_item.c.state)
    query = select(tier, begin, func.count()).where(_item.c.job == job, _item.c.n >= 0, _item.c.ended_at.is_not(None))
    return _by_time(tx, query.group_by(tier, begin))


def _by_time(tx: Connection, query: Any) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for name, begin, amount in tx.execute(query):
        found[str(name)][int(begin)] = float(amount)
    return dict(found)


def latencies(tx: Connection, *, job: str) -> dict[str, tuple[int, ...]]:
    """Return tier -> calls in each span of seconds that `EDGES_S` makes; answers of the cache are left out."""
    place = case(*((_attempt.c.latency_s <= edge, n) for n, edge in enumerate(EDGES_S)), else_=len(EDGES_S))
    query = select(_attempt.c.tier, place, func.count()).where(_attempt.c.job == job, _attempt.c.from_cache.is_(False))
    found: dict[str, list[int]] = defaultdict(lambda: [0] * (len(EDGES_S) + 1))
    for tier, where, count in tx.execute(query.group_by(_attempt.c.tier, place)):
        found[str(tier)][int(where)] = int(count)
    return {tier: tuple(counts) for tier, counts in found.items()}


def errors_by_day(tx: Connection, *, tenant: str | None, since: datetime, by: str) -> list[RowMapping]:
    """Return day, name (`by`: model or skill), the answers to skills that came, and the wrong ones among them."""
    keys = (func.date(_attempt.c.started_at).label("day"), _attempt.c[by].label("name"))
    came = and_(_attempt.c.purpose == "answer", _attempt.c.error.is_(None) | _attempt.c.error.not_in(list(UNANSWERED)))
    query = (
        select(
            *keys,
            func.coalesce(func.sum(case((came, 1), else_=0)), 0).label("came"),
            func.coalesce(func.sum(case((_attempt.c.error.in_(list(WRONG_ANSWERS)), 1), else_=0)), 0).label("wrong"),
        )
        .join(_job, _job.c.id == _attempt.c.job)
        .where(_attempt.c.started_at >= since, _attempt.c.purpose == "answer", _attempt.c.skill != "")
        .group_by(*keys)
    )
    return list(tx.execute(query if tenant is None else query.where(_job.c.tenant == tenant)).mappings())
