"""Decisions that are no verdicts on one answer: by the orchestrator model, a person or the engine."""

from sqlalchemy import Connection, RowMapping, func, select, tuple_

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import AttemptRow, DecisionRow, JobRow
from firstline.schemas.base import JsonObject

_decision = DecisionRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]


def note(
    tx: Connection,
    *,
    job: str,
    kind: str,
    by: str,
    choice: str,
    reason: str = "",
    item: int | None = None,
    step: str | None = None,
    data: JsonObject | None = None,
) -> None:
    """Write a decision down."""
    row = DecisionRow(
        job=job, item=item, step=step, kind=kind, by=by, choice=choice, reason=reason, data=data or {}, at=now()
    )
    tx.execute(_decision.insert().values(**row.model_dump(exclude={"id"})))


def of(tx: Connection, *, job: str, kind: str | None = None) -> list[RowMapping]:
    """Return a job's decisions in order, all or those of one kind."""
    query = select(_decision).where(_decision.c.job == job).order_by(_decision.c.id)
    return list(tx.execute(query if kind is None else query.where(_decision.c.kind == kind)).mappings())


def restarts(tx: Connection, *, tenant: str, skill: str, limit: int = 200) -> list[RowMapping]:
    """Return `job`, `step`, `data` of reviews that had answers done again, newest first, in jobs of a skill."""
    asked = select(_attempt.c.job).where(_attempt.c.skill == skill).distinct()
    query = (
        select(_decision.c.job, _decision.c.step, _decision.c.data)
        .join(_job, _job.c.id == _decision.c.job)
        .where(_job.c.tenant == tenant)
        .where(tuple_(_decision.c.kind, _decision.c.choice).in_([("checkpoint", "restart"), ("look", "heard")]))
        .where(_decision.c.job.in_(asked))
        .order_by(_decision.c.id.desc())
        .limit(limit)
    )
    return list(tx.execute(query).mappings())


def count(tx: Connection, *, job: str, kind: str, choice: str, step: str) -> int:
    """Return how often a step came to a choice."""
    query = select(func.count()).where(
        _decision.c.job == job, _decision.c.kind == kind, _decision.c.choice == choice, _decision.c.step == step
    )
    return int(tx.scalar(query) or 0)
