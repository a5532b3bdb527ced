"""Students in SQL: what they are, how they fared, and what their audits came to."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, and_, func, select, update

from firstline.orchestrator.store.quality_tables import StudentRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, SubtaskRow
from firstline.schemas.base import Json
from firstline.workers.execution.student_step import AUDITED
from firstline.workers.rules.closed_answers import canonical

_student = StudentRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
#: Columns that a list of students does without.
_HEAVY = ("packed", "margins", "wrong")
_ENDED = ("settled", "skipped", "failed")


def insert(tx: Connection, *, row: StudentRow) -> int:
    """Write a trained student down; return its id."""
    query = _student.insert().values(**row.model_dump(exclude={"id"})).returning(_student.c.id)
    return int(tx.execute(query).scalar_one())


def latest(tx: Connection, *, job: str, step: str) -> RowMapping | None:
    """Return a step's last student, without its arrays of weights."""
    columns = [column for column in _student.c if column.name != "packed"]
    query = select(*columns).where(_student.c.job == job, _student.c.step == step).order_by(_student.c.id.desc())
    return tx.execute(query.limit(1)).mappings().first()


def packed(tx: Connection, *, student: int) -> bytes:
    """Return a student's arrays as they were packed."""
    return bytes(tx.execute(select(_student.c.packed).where(_student.c.id == student)).scalar_one())


def change(tx: Connection, *, student: int, **values: Any) -> None:
    """Note where a student stands."""
    tx.execute(update(_student).where(_student.c.id == student).values(**values))


def listed(tx: Connection, *, tenant: str | None = None) -> list[RowMapping]:
    """Return a tenant's students, or all, the newest first, without their arrays."""
    columns = [column for column in _student.c if column.name not in _HEAVY]
    query = select(*columns).order_by(_student.c.id.desc())
    return list(tx.execute(query if tenant is None else query.where(_student.c.tenant == tenant)).mappings())


def labels(
    tx: Connection, *, job: str, step: str, tiers: Sequence[str], student: str
) -> list[tuple[int, Json, Json, bool]]:
    """Return (item, input, answer, whether the student had answered it) of what the ladder settled for a step."""
    asked = select(_attempt.c.item).where(_attempt.c.job == job, _attempt.c.step == step, _attempt.c.tier == student)
    query = (
        select(_subtask.c.item, _item.c.input, _subtask.c.value, _subtask.c.item.in_(asked))
        .join(_item, and_(_item.c.job == _subtask.c.job, _item.c.n == _subtask.c.item))
        .where(_subtask.c.job == job, _subtask.c.step == step, _subtask.c.state == "settled")
        .where(_subtask.c.tier.in_(tiers), _subtask.c.item >= 0)
        .order_by(_subtask.c.item)
    )
    return [(row[0], row[1], row[2], bool(row[3])) for row in tx.execute(query)]


def passed(tx: Connection, *, job: str, step: str, tiers: Sequence[str], student: str) -> tuple[int, int]:
    """Return how many items no student can answer any more, or has; and how many of them the ladder has settled."""
    settled = and_(_subtask.c.state == "settled", _subtask.c.tier.in_(tiers))
    waits = and_(_subtask.c.tier == student, _subtask.c.state.in_(("open", "deferred", "paused")))
    query = select(func.count().filter(~waits), func.count().filter(settled)).where(
        _subtask.c.job == job, _subtask.c.step == step, _subtask.c.item >= 0
    )
    row = tx.execute(query).one()
    return int(row[0]), int(row[1])


class StudentAudit(NamedTuple):
    """A student's answer that a coin has chosen to be audited, and what became of its subtask."""

    item: int
    answer: Json
    state: str
    #: What the top tier says instead, once it has settled.
    value: Json

    @property
    def is_out(self) -> bool:
        """Whether nothing has come of it yet."""
        return self.state not in _ENDED

    @property
    def is_clean(self) -> bool:
        """Whether it found the student right, or an item that the ladder could not answer either."""
        return not self.is_out and (self.state != "settled" or canonical(self.answer) == canonical(self.value))


def audits(tx: Connection, *, job: str, step: str, tier: str, items: Sequence[int] | None = None) -> list[StudentAudit]:
    """Return every audit of a job's students, or those of some items."""
    query = (
        select(_attempt.c.item, _attempt.c.value, _subtask.c.state, _subtask.c.value)
        .join(
            _subtask,
            and_(
                _subtask.c.job == _attempt.c.job, _subtask.c.item == _attempt.c.item, _subtask.c.step == _attempt.c.step
            ),
        )
        .where(_attempt.c.job == job, _attempt.c.step == step, _attempt.c.tier == tier, _attempt.c.reason == AUDITED)
    )
    if items is not None:
        query = query.where(_attempt.c.item.in_(items))
    return [StudentAudit(*row) for row in tx.execute(query)]


def served(tx: Connection, *, job: str, step: str, tier: str) -> int:
    """Return how many items of a job its students answered."""
    query = select(func.count()).where(
        _subtask.c.job == job, _subtask.c.step == step, _subtask.c.tier == tier, _subtask.c.state == "settled"
    )
    return int(tx.scalar(query) or 0)
