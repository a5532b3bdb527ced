"""How models do: their answers, faults, seconds and dollars, and why items failed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from sqlalchemy import Connection

from firstline.orchestrator.store import time_figures, views
from firstline.orchestrator.store.jobs import now
from firstline.schemas.attempt import UNANSWERED, WRONG_ANSWERS
from firstline.schemas.base import Frozen


class ModelMarks(Frozen):
    """How one model did on its tier."""

    model: str
    tier: str
    attempts: int
    accepted: int
    #: Answers that came and were no good.
    wrong: int
    #: Calls that brought no answer: nothing that its answers are to blame for.
    unanswered: int
    #: Answers whose confidence was too low: no error.
    unsure: int
    latency_s: float | None
    #: Mean of the calls whose cost is known.
    cost_usd: float | None

    @property
    def error_rate(self) -> float:
        """The share of wrong ones among the answers that came."""
        return error_rate(self.attempts, self.wrong, self.unanswered)


class TaskStats(Frozen):
    """How answers to one type of task, a skill, did."""

    skill: str
    attempts: int
    #: Answers that were accepted: tasks done.
    accepted: int
    wrong: int
    unanswered: int
    unsure: int
    #: All that was paid for it; None: no call of it has a price.
    cost_usd: float | None

    @property
    def error_rate(self) -> float:
        """The share of wrong ones among the answers that came."""
        return error_rate(self.attempts, self.wrong, self.unanswered)

    @property
    def cost_per_task_usd(self) -> float | None:
        """What an accepted answer took, with all that was asked for it."""
        return self.cost_usd / self.accepted if self.cost_usd is not None and self.accepted else None


class DayErrors(Frozen):
    """How often answers of a model, or to a skill, were wrong on one day."""

    day: str
    name: str
    #: Answers that came, and those of them that were no good.
    came: int
    wrong: int

    @property
    def rate(self) -> float | None:
        """The share of wrong ones; None where none came."""
        return self.wrong / self.came if self.came else None


class FaultyJob(Frozen):
    """A job, and how often its items met a fault."""

    job: str
    name: str
    count: int


class Fault(Frozen):
    """One kind of fault, the model that it was met with, and the jobs, that with the most first."""

    error: str
    model: str
    count: int
    jobs: tuple[FaultyJob, ...] = ()


class Failure(Frozen):
    """Why items of a job failed."""

    reason: str
    job: str
    name: str
    count: int
    #: Number of the first of them.
    n: int


def model_marks(tx: Connection, *, tenant: str | None, days: int, skill: str | None = None) -> list[ModelMarks]:
    """Return how each model did in the last `days` days, with all skills or with one."""
    rows = views.model_marks(tx, tenant=tenant, since=now() - timedelta(days=days), skill=skill)
    return [ModelMarks.model_validate(dict(row)) for row in rows]


def task_stats(tx: Connection, *, tenant: str | None, days: int, skill: str | None = None) -> list[TaskStats]:
    """Return how answers to each type of task did in the last `days` days."""
    rows = views.task_stats(tx, tenant=tenant, since=now() - timedelta(days=days), skill=skill)
    return [TaskStats.model_validate(dict(row)) for row in rows]


def errors_by_day(tx: Connection, *, tenant: str | None, days: int, by: Literal["model", "skill"]) -> list[DayErrors]:
    """Return the errors of the last `days` days, day by day, by model or by skill."""
    rows = time_figures.errors_by_day(tx, tenant=tenant, since=now() - timedelta(days=days), by=by)
    return [DayErrors.model_validate({**row, "day": str(row["day"])}) for row in rows]


def errors_of(counts: Mapping[str, int]) -> tuple[int, int]:
    """Return how many of these errors are of answers that came, and how many of calls that brought none."""
    wrong = sum(count for kind, count in counts.items() if kind in WRONG_ANSWERS)
    return wrong, sum(count for kind, count in counts.items() if kind in UNANSWERED)


def error_rate(attempts: int, wrong: int, unanswered: int) -> float:
    """Return the share of wrong ones among the answers that came."""
    return wrong / (attempts - unanswered) if attempts > unanswered else 0.0


def faults(tx: Connection, *, tenant: str | None, days: int) -> list[Fault]:
    """Return the faults of the last `days` days, the most frequent first."""
    found: dict[tuple[str, str], list[FaultyJob]] = {}
    for row in views.faults(tx, tenant=tenant, since=now() - timedelta(days=days)):
        found.setdefault((row["error"], row["model"]), []).append(
            FaultyJob(job=row["job"], name=row["name"], count=row["count"])
        )
    summed = [
        Fault(error=error, model=model, count=sum(one.count for one in jobs), jobs=tuple(jobs))
        for (error, model), jobs in found.items()
    ]
    return sorted(summed, key=lambda one: -one.count)


def faults_of(tx: Connection, *, job: str) -> list[Fault]:
    """Return the faults that a job's items met, the most frequent first."""
    return [Fault.model_validate(dict(row)) for row in views.faults_of(tx, job=job)]


def failures(tx: Connection, *, tenant: str | None, days: int, limit: int = 200) -> list[Failure]:
    """Return why items of jobs of the last `days` days failed, the most frequent reason first."""
    rows = views.failures(tx, tenant=tenant, since=now() - timedelta(days=days), limit=limit)
    return [Failure.model_validate({**row, "reason": row["reason"] or "unknown"}) for row in rows]
