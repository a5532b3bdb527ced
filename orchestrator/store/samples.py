"""What models answered on the items of a job: the material of calibrations, comparisons and audits."""

from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, and_, select

from firstline.orchestrator.store.tables import AttemptRow, ItemRow

_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def answers(tx: Connection, *, job: str, step: str | None = None) -> Iterator[RowMapping]:
    """Yield the attempts that were to answer, of one step or of all, with their items, in the order of items and n.

    Repeated deliveries are left out; what was asked to weigh an answer is no answer.
    """
    query = (
        select(_attempt, _item.c.item_id, _item.c.input)
        .join(_item, and_(_item.c.job == _attempt.c.job, _item.c.n == _attempt.c.item))
        .where(_attempt.c.job == job, _attempt.c.purpose == "answer", _attempt.c.verdict != "repeated", _item.c.n >= 0)
        .order_by(_attempt.c.item, _attempt.c.step, _attempt.c.n)
    )
    if step is not None:
        query = query.where(_attempt.c.step == step)
    yield from tx.execution_options(yield_per=1000).execute(query).mappings()
