"""A job's items as they are listed: some of them, in an order, a page at a time."""

from enum import StrEnum
from typing import Any, NamedTuple, assert_never

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, exists, func, select

from firstline.orchestrator.store.tables import AttemptRow, ItemRow
from firstline.orchestrator.store.views import least_confidence, shown

_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


class ItemOrder(StrEnum):
    """What a list of items may be sorted by; the greatest first, but for their own order and confidence."""

    PLACE = "place"
    COST = "cost"
    TIME = "time"
    CALLS = "calls"
    CONFIDENCE = "confidence"


class ItemFilter(NamedTuple):
    """Which items are listed; None (or an empty text) asks for nothing."""

    state: str | None = None
    tier: str | None = None
    #: A part of the id.
    text: str | None = None
    #: A kind of fault that one of its calls met, and the model of such a call.
    error: str | None = None
    model: str | None = None


def items(
    tx: Connection,
    *,
    job: str,
    only: ItemFilter = ItemFilter(),  # noqa: B008 -- it cannot change
    after: int = -1,
    order: ItemOrder = ItemOrder.PLACE,
    offset: int = 0,
    limit: int,
) -> list[RowMapping]:
    """Return items with numbers above `after`."""
    query = _some(shown(), only).where(_item.c.job == job, _item.c.n > after).offset(offset).limit(limit)
    return list(tx.execute(query.order_by(*_sorted(tx, order), _item.c.n)).mappings())


def count_items(tx: Connection, *, job: str, only: ItemFilter) -> int:
    """Return how many items of a job fit."""
    query = _some(select(func.count()).select_from(_item), only)
    return int(tx.scalar(query.where(_item.c.job == job, _item.c.n >= 0)) or 0)


def _some(query: Select[Any], only: ItemFilter) -> Select[Any]:
    if only.state:
        query = query.where(_item.c.state == only.state)
    if only.tier:
        query = query.where(_item.c.tier == only.tier)
    if only.error or only.model:
        met = exists().where(_attempt.c.job == _item.c.job, _attempt.c.item == _item.c.n, _attempt.c.error.is_not(None))
        met = met.where(_attempt.c.error == only.error) if only.error else met
        query = query.where(met.where(_attempt.c.model == only.model) if only.model else met)
    return query.where(_item.c.item_id.contains(only.text, autoescape=True)) if only.text else query


def _sorted(tx: Connection, order: ItemOrder) -> tuple[ColumnElement[Any], ...]:
    match order:
        case ItemOrder.PLACE:
            return ()
        case ItemOrder.COST:
            return (_item.c.cost_usd.desc(),)
        case ItemOrder.CALLS:
            return (_item.c.attempts.desc(),)
        case ItemOrder.CONFIDENCE:
            return (least_confidence.asc().nulls_last(),)
        case ItemOrder.TIME:
            ends = (_item.c.ended_at, _item.c.started_at)
            until, since = (func.julianday(at) for at in ends) if tx.dialect.name == "sqlite" else ends
            return ((until - since).desc().nulls_last(),)
        case _:
            assert_never(order)
