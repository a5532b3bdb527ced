"""The students there are, as commands and pages show them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from firstline.orchestrator import api
from firstline.orchestrator.store import students
from firstline.schemas.base import Frozen
from firstline.workers.rules.student_model import VERSION

COLUMNS = ("", "job", "step", "skill", "labels", "answered", "audits", "wrong", "state", "why")


class StudentStanding(Frozen):
    """A student, and where it stands."""

    id: int
    job: str
    step: str
    skill: str
    skill_digest: str
    labels: int
    answers: int
    margin: float | None
    max_loss: float
    #: By all students of its step so far.
    served: int
    audits: int
    caught: int
    #: on, off, over
    state: str
    reason: str | None
    trained_at: datetime


def standings(*, tenant: str | None = None) -> list[StudentStanding]:
    """Return a tenant's students, or all, the newest first; one of another version of Firstline says so."""
    with api.engine().db.reading() as tx:
        rows = [
            # The last answers of a job come after the last look at its student.
            {**row, "served": students.served(tx, job=row["job"], step=row["step"], tier=row["tier"])}
            for row in students.listed(tx, tenant=tenant)
        ]
    return [
        StudentStanding.model_validate(
            {name: row[name] for name in StudentStanding.model_fields}
            | ({} if row["version"] == VERSION else {"state": "off", "reason": "another version of Firstline made it"})
        )
        for row in rows
    ]


def table(found: Sequence[StudentStanding]) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
    """Return the columns and rows of a table."""
    rows = (
        (one.id, one.job, one.step, one.skill, one.labels, one.served, one.audits, one.caught, one.state, one.reason)
        for one in found
    )
    return COLUMNS, rows
