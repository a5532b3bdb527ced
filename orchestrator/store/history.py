"""What skills took in earlier jobs: how long their answers were, how often they climbed."""

from sqlalchemy import Connection, Integer, RowMapping, case, cast, func, select

from firstline.orchestrator.store.tables import AttemptRow, JobRow

_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]


def of_skill(tx: Connection, *, skill: str) -> list[RowMapping]:
    """Return (tier, calls, subtasks, settled, output_tokens) of a skill's calls in jobs that people asked for.

    `subtasks` were asked on the tier, `settled` of them were answered there; `output_tokens` is the mean.
    """
    subtask = _attempt.c.job + ":" + cast(_attempt.c.item, _job.c.id.type) + ":" + _attempt.c.step
    query = (
        select(
            _attempt.c.tier,
            func.count().label("calls"),
            func.count(func.distinct(subtask)).label("subtasks"),
            func.sum(cast(case((_attempt.c.verdict == "accept", 1), else_=0), Integer)).label("settled"),
            func.avg(_attempt.c.output_tokens).label("output_tokens"),
        )
        .join(_job, _job.c.id == _attempt.c.job)
        .where(
            _attempt.c.skill == skill,
            _attempt.c.purpose == "answer",
            _attempt.c.verdict.not_in(("fault", "repeated", "cancelled")),
            _attempt.c.from_cache.is_(False),
            _job.c.purpose == "run",
        )
        .group_by(_attempt.c.tier)
    )
    return list(tx.execute(query).mappings())
