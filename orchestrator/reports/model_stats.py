"""How models do: their answers, faults, seconds and dollars, and why items failed."""

from datetime import timedelta

from sqlalchemy import Connection

from firstline.orchestrator.store import views
from firstline.orchestrator.store.jobs import now
from firstline.schemas.base import Frozen


class ModelMarks(Frozen):
    """How one model did on its tier."""

    model: str
    tier: str
    attempts: int
    accepted: int
    #: Answers that failed, and calls that gave none.
    faults: int
    #: Answers whose confidence was too low: no fault.
    unsure: int
    latency_s: float | None
    #: Mean of the calls whose cost is known.
    cost_usd: float | None

    @property
    def error_rate(self) -> float:
        """The share of attempts that are faults."""
        return self.faults / self.attempts if self.attempts else 0.0


class Fault(Frozen):
    """One kind of fault, and the model that it was met with."""

    error: str
    model: str
    count: int


class Failure(Frozen):
    """Why items of a job failed."""

    reason: str
    job: str
    name: str
    count: int
    #: Number of the first of them.
    n: int


def model_marks(tx: Connection, *, tenant: str | None, days: int) -> list[ModelMarks]:
    """Return how each model did in the last `days` days."""
    rows = views.model_marks(tx, tenant=tenant, since=now() - timedelta(days=days))
    return [ModelMarks.model_validate(dict(row)) for row in rows]


def faults(tx: Connection, *, tenant: str | None, days: int) -> list[Fault]:
    """Return the faults of the last `days` days, the most frequent first."""
    rows = views.faults(tx, tenant=tenant, since=now() - timedelta(days=days))
    return [Fault.model_validate(dict(row)) for row in rows]


def failures(tx: Connection, *, tenant: str | None, days: int, limit: int = 200) -> list[Failure]:
    """Return why items of jobs of the last `days` days failed, the most frequent reason first."""
    rows = views.failures(tx, tenant=tenant, since=now() - timedelta(days=days), limit=limit)
    return [Failure.model_validate({**row, "reason": row["reason"] or "unknown"}) for row in rows]
