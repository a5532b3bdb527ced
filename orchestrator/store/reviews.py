"""What waits for a person, and the right answers that persons gave."""

from collections.abc import Iterator

from sqlalchemy import Connection, RowMapping, and_, select

from firstline.orchestrator.store.items import insert_or_ignore
from firstline.orchestrator.store.quality_tables import GoldRow
from firstline.orchestrator.store.tables import ItemRow, JobRow, SubtaskRow

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_gold = GoldRow.__table__  # type: ignore[attr-defined]

#: The state of a subtask that waits for a person.
REVIEW = "review"


def waiting(
    tx: Connection, *, job: str | None = None, tenant: str | None = None, limit: int | None = None
) -> list[RowMapping]:
    """Return the subtasks that wait for a person, of one job or of all that have not ended, oldest job first."""
    query = (
        select(
            _subtask.c.job,
            _job.c.name,
            _subtask.c.item,
            _item.c.item_id,
            _subtask.c.step,
            _subtask.c.reason,
            _subtask.c.feedback,
        )
        .join(_job, _job.c.id == _subtask.c.job)
        .join(_item, and_(_item.c.job == _subtask.c.job, _item.c.n == _subtask.c.item))
        .where(_subtask.c.state == REVIEW, _job.c.state.not_in(("failed", "cancelled")))
        .order_by(_job.c.created_at, _subtask.c.item, _subtask.c.step)
        .limit(limit)
    )
    if tenant is not None:
        query = query.where(_job.c.tenant == tenant)
    return list(tx.execute(query if job is None else query.where(_subtask.c.job == job)).mappings())


def number_of(tx: Connection, *, job: str, item_id: str) -> int | None:
    """Return an item's number by its id."""
    found: int | None = tx.scalar(select(_item.c.n).where(_item.c.job == job, _item.c.item_id == item_id))
    return found


def keep_gold(tx: Connection, *, row: GoldRow) -> None:
    """Add a right answer to its skill's gold set, unless there is one for that subtask."""
    tx.execute(insert_or_ignore(tx, _gold), [row.model_dump()])


def gold(tx: Connection, *, skill: str | None = None, tenant: str | None = None) -> Iterator[RowMapping]:
    """Yield the gold set of a skill, or of all, for a tenant, or for all, oldest first."""
    query = select(_gold).order_by(_gold.c.at)
    query = query if tenant is None else query.where(_gold.c.tenant == tenant)
    yield from tx.execute(query if skill is None else query.where(_gold.c.skill == skill)).mappings()
