"""Items of a job seen as a whole."""

from collections.abc import Collection, Iterator

from sqlalchemy import Connection, func, select

from firstline.orchestrator.store.tables import ItemRow, SubtaskRow
from firstline.schemas.base import Json
from firstline.schemas.job import ItemState
from firstline.schemas.plan import GATHERED
from firstline.schemas.states import SubtaskState

_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]


def results(tx: Connection, *, job: str) -> Iterator[tuple[str, Json]]:
    """Yield (item id, result so far) of the items that have one and have not failed, in order."""
    states = [ItemState.PENDING.value, ItemState.SETTLED.value]
    query = select(_item.c.item_id, _item.c.output).where(
        _item.c.job == job, _item.c.n >= 0, _item.c.state.in_(states), _item.c.output.is_not(None)
    )
    for item_id, value in tx.execute(query.order_by(_item.c.n)):
        if value is not None:
            yield item_id, value


def by_state(tx: Connection, *, job: str) -> dict[str, int]:
    """Return how many items are in each state."""
    query = select(_item.c.state, func.count()).where(_item.c.job == job, _item.c.n >= 0).group_by(_item.c.state)
    return {str(state): int(count) for state, count in tx.execute(query)}


def steps_by_state(tx: Connection, *, job: str) -> dict[str, dict[str, int]]:
    """Return step -> state -> how many items' subtasks are in it."""
    query = (
        select(_subtask.c.step, _subtask.c.state, func.count())
        .where(_subtask.c.job == job, _subtask.c.item >= 0)
        .group_by(_subtask.c.step, _subtask.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for step, state, count in tx.execute(query):
        found.setdefault(step, {})[state] = int(count)
    return found


def numbers_of(tx: Connection, *, job: str, item_ids: Collection[str]) -> dict[str, int]:
    """Return item id -> number of the items with these ids that are still open."""
    query = select(_item.c.item_id, _item.c.n).where(
        _item.c.job == job, _item.c.n >= 0, _item.c.item_id.in_(item_ids), _item.c.state == ItemState.PENDING.value
    )
    return {str(item_id): int(n) for item_id, n in tx.execute(query)}


def pending_numbers(tx: Connection, *, job: str) -> list[int]:
    """Return the numbers of the items that are still open."""
    query = select(_item.c.n).where(
        _item.c.job == job, _item.c.n >= 0, _item.c.state == ItemState.PENDING.value, _item.c.same_as.is_(None)
    )
    return list(tx.scalars(query.order_by(_item.c.n)))


def by_tier(tx: Connection, *, job: str) -> dict[str, int]:
    """Return tier -> answers of it that were accepted."""
    query = (
        select(_subtask.c.tier, func.count())
        .where(
            _subtask.c.job == job,
            _subtask.c.item >= 0,
            _subtask.c.state == SubtaskState.SETTLED,
            _subtask.c.tier != GATHERED,
        )
        .group_by(_subtask.c.tier)
    )
    return {str(tier): int(count) for tier, count in tx.execute(query)}
