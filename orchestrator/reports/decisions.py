"""What was decided in a job besides verdicts on single answers: plans, reviews, referrals, approvals, drift."""

from pydantic import Field
from sqlalchemy import Connection

from firstline.orchestrator.reports.item_history import DecisionLine
from firstline.orchestrator.store import decisions, items, jobs
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import WHOLE_JOB

#: Items looked up at once.
_PAGE = 500


class Decision(DecisionLine):
    """One decision, in its job."""

    #: None: it is about the whole job.
    item_id: str | None = None
    data: JsonObject = Field(default_factory=dict)


def decisions_of(tx: Connection, *, job: str) -> list[Decision]:
    """Return a job's decisions in the order in which they were taken; UserError where there is no such job."""
    jobs.light(tx, job=job)
    rows = decisions.of(tx, job=job)
    numbers = sorted({row["item"] for row in rows if row["item"] not in (None, WHOLE_JOB)})
    pages = (numbers[at : at + _PAGE] for at in range(0, len(numbers), _PAGE))
    ids = {n: row["item_id"] for page in pages for n, row in items.load(tx, job=job, numbers=page).items()}
    fields = DecisionLine.model_fields
    return [
        Decision(**{name: row[name] for name in fields}, item_id=ids.get(row["item"]), data=row["data"]) for row in rows
    ]
