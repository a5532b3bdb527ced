"""Audits: accepted answers that the top tier is also asked for, and what came of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, String, and_, case, cast, func, or_, select, union, update

from firstline.orchestrator.store.items import insert_or_ignore
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.job import JobState

#: States of audits that the top tier was asked for and that wait for a word.
_OPEN = ("asked", "judging")
#: States of jobs in which nothing more happens.
_ENDED = tuple(state.value for state in JobState if state.ended)

_audit = AuditRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def want(tx: Connection, *, rows: Sequence[AuditRow]) -> None:
    """Note answers that are to be audited, each once."""
    if rows:
        tx.execute(insert_or_ignore(tx, _audit), [row.model_dump() for row in rows])


def due(tx: Connection, *, lot: int) -> list[str]:
    """Return the jobs with answers to be audited: those that have ended, and others once they have a lot of them."""
    ended = _job.c.state.in_(_ENDED)
    query = (
        select(_audit.c.job)
        .join(_job, _job.c.id == _audit.c.job)
        .where(_audit.c.state == "wanted")
        .group_by(_audit.c.job, _job.c.state)
        .having(or_(ended, func.count() >= lot))
        .order_by(_audit.c.job)
    )
    return list(tx.scalars(query))


def asked(tx: Connection, *, job: str | None = None) -> list[str]:
    """Return the audit jobs whose answers have not all been compared, of one job or of all."""
    query = select(_audit.c.audit_job).where(_audit.c.state.in_(_OPEN)).distinct().order_by(_audit.c.audit_job)
    return list(tx.scalars(query if job is None else query.where(_audit.c.job == job)))


def of(tx: Connection, *, job: str, state: str) -> list[RowMapping]:
    """Return a job's audits in a state, with the item's input and the accepted value."""
    return _with_answers(tx, _audit.c.job == job, state)


def in_audit_job(tx: Connection, *, audit_job: str, state: str) -> list[RowMapping]:
    """Return the audits that were asked in one audit job, with the item's input and the accepted value."""
    return _with_answers(tx, _audit.c.audit_job == audit_job, state)


def _with_answers(tx: Connection, which: Any, state: str) -> list[RowMapping]:
    same = (_subtask.c.job == _audit.c.job, _subtask.c.item == _audit.c.item, _subtask.c.step == _audit.c.step)
    query = (
        select(_audit, _item.c.input, _item.c.item_id, _subtask.c.value)
        .join(_item, and_(_item.c.job == _audit.c.job, _item.c.n == _audit.c.item))
        .join(_subtask, and_(*same))
        .where(which, _audit.c.state == state)
        .order_by(_audit.c.item, _audit.c.step)
    )
    return list(tx.execute(query).mappings())


def ask(tx: Connection, *, job: str, step: str, items: Collection[int], audit_job: str) -> None:
    """Note in which job the top tier is asked."""
    query = update(_audit).where(
        _audit.c.job == job, _audit.c.step == step, _audit.c.item.in_(items), _audit.c.state == "wanted"
    )
    tx.execute(query.values(state="asked", audit_job=audit_job))


def conclude(
    tx: Connection, *, job: str, item: int, step: str, state: str, agrees: bool | None, cost_usd: float | None
) -> None:
    """Write what an audit showed; `agrees` None: nothing, and `state` says why."""
    query = update(_audit).where(
        _audit.c.job == job, _audit.c.item == item, _audit.c.step == step, _audit.c.state.in_(_OPEN)
    )
    tx.execute(query.values(state=state, agrees=agrees, cost_usd=cost_usd))


def ask_judge(tx: Connection, *, job: str, step: str, items: Collection[int], judge_job: str) -> None:
    """Note in which job a judge is asked."""
    query = update(_audit).where(
        _audit.c.job == job, _audit.c.step == step, _audit.c.item.in_(items), _audit.c.state == "asked"
    )
    tx.execute(query.values(state="judging", judge_job=judge_job))


def judge_jobs(tx: Connection, *, audit_job: str) -> list[str]:
    """Return the jobs in which judges are asked about what an audit job has answered."""
    query = select(_audit.c.judge_job).where(_audit.c.audit_job == audit_job, _audit.c.state == "judging")
    return list(tx.scalars(query.distinct().order_by(_audit.c.judge_job)))


def budgets_of(tx: Connection, *, job: str) -> float:
    """Return the dollars that the audits of a job may spend together, those that have ended what they spent."""
    own = union(
        *(
            select(column).where(_audit.c.job == job, column.is_not(None))
            for column in (_audit.c.audit_job, _audit.c.judge_job)
        )
    )
    spent = select(func.sum(_attempt.c.cost_usd)).where(_attempt.c.job == _job.c.id).scalar_subquery()
    used = case((_job.c.state.in_(_ENDED), func.coalesce(spent, 0.0)), else_=_job.c.budget_usd)
    return float(tx.scalar(select(func.sum(used)).where(_job.c.id.in_(own))) or 0.0)


def subjects(tx: Connection, *, audit_job: str | None = None, tenant: str | None = None) -> list[RowMapping]:
    """Return `tenant`, `skill`, `skill_digest` and `model` of what was ever audited, or in one audit job, or of one."""
    query = select(_audit.c.tenant, _audit.c.skill, _audit.c.skill_digest, _audit.c.model).distinct()
    query = query if audit_job is None else query.where(_audit.c.audit_job == audit_job)
    query = query if tenant is None else query.where(_audit.c.tenant == tenant)
    order = (_audit.c.skill, _audit.c.model, _audit.c.skill_digest, _audit.c.tenant)
    return list(tx.execute(query.order_by(*order)).mappings())


def newest_job(tx: Connection, *, tenant: str, skill_digest: str, model: str) -> str:
    """Return the job of the newest audit of a skill's answers by a model."""
    mine = (_audit.c.tenant == tenant, _audit.c.skill_digest == skill_digest, _audit.c.model == model)
    query = select(_audit.c.job).where(*mine)
    return str(tx.execute(query.order_by(_audit.c.at.desc()).limit(1)).scalar_one())


def tally(tx: Connection, *, tenant: str, skill_digest: str, model: str, since: datetime | None) -> RowMapping:
    """Return `pending`, `uncompared` and `cost_usd` of the audits of a skill's answers by one model, since a time."""
    query = select(
        func.count().filter(_audit.c.state.in_(("wanted", *_OPEN))).label("pending"),
        func.count().filter(_audit.c.state == "uncompared").label("uncompared"),
        func.sum(_audit.c.cost_usd).label("cost_usd"),
    ).where(_audit.c.tenant == tenant, _audit.c.skill_digest == skill_digest, _audit.c.model == model)
    return tx.execute(query if since is None else query.where(_audit.c.at >= since)).mappings().one()


def outcomes(tx: Connection, *, tenant: str, skill_digest: str, model: str, since: datetime | None) -> list[bool]:
    """Return which audited answers were lost, since a time, in the order in which they had been accepted."""
    query = select(_audit.c.agrees).where(
        _audit.c.tenant == tenant,
        _audit.c.skill_digest == skill_digest,
        _audit.c.model == model,
        _audit.c.state == "done",
    )
    since_then = query if since is None else query.where(_audit.c.at >= since)
    return [not agrees for agrees in tx.scalars(since_then.order_by(_audit.c.at, _audit.c.job, _audit.c.item))]


def accepted_by(tx: Connection, *, tenant: str, skill_digest: str, since: datetime | None) -> dict[str, int]:
    """Return model -> accepted answers of a skill in ordinary jobs, since a time."""
    query = (
        select(_attempt.c.model, func.count())
        .join(_job, _job.c.id == _attempt.c.job)
        .where(
            _job.c.purpose == "run",
            _job.c.tenant == tenant,
            _attempt.c.skill_digest == skill_digest,
            _attempt.c.purpose == "answer",
            _attempt.c.verdict == "accept",
        )
        .group_by(_attempt.c.model)
    )
    found = tx.execute(query if since is None else query.where(_attempt.c.started_at >= since)).all()
    return {str(model): int(count) for model, count in found}


def judged(tx: Connection, *, tenant: str, skill_digest: str) -> list[RowMapping]:
    """Return `input` (the skill's), `value` and `right` (the top tier's) of audits that went to a judge."""
    audited = _item.alias()
    same = (_subtask.c.job == _audit.c.job, _subtask.c.item == _audit.c.item, _subtask.c.step == _audit.c.step)
    query = (
        select(audited.c.input, _subtask.c.value, audited.c.output.label("right"))
        .select_from(_audit)
        .join(_subtask, and_(*same))
        .join(audited, and_(audited.c.job == _audit.c.audit_job, audited.c.item_id == cast(_audit.c.item, String)))
        .where(_audit.c.tenant == tenant, _audit.c.skill_digest == skill_digest, _audit.c.judge_job.is_not(None))
        .order_by(_audit.c.job, _audit.c.item)
    )
    return list(tx.execute(query).mappings())


def lost(tx: Connection, *, tenant: str, skill_digest: str, limit: int = 500) -> list[RowMapping]:
    """Return accepted answers that an audit found lost, newest first, each with the top tier's own in `right`."""
    audited = _item.alias()
    same = (_subtask.c.job == _audit.c.job, _subtask.c.item == _audit.c.item, _subtask.c.step == _audit.c.step)
    number = cast(_audit.c.item, String)
    query = (
        select(_audit, _item.c.input, _item.c.item_id, _subtask.c.value, audited.c.output.label("right"))
        .join(_item, and_(_item.c.job == _audit.c.job, _item.c.n == _audit.c.item))
        .join(_subtask, and_(*same))
        .join(audited, and_(audited.c.job == _audit.c.audit_job, audited.c.item_id == number))
        .where(_audit.c.tenant == tenant, _audit.c.skill_digest == skill_digest, _audit.c.agrees.is_(False))
        .order_by(_audit.c.at.desc())
        .limit(limit)
    )
    return list(tx.execute(query).mappings())
