"""What the web pages and the API look at, across jobs and within one."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, or_, select, true

from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.attempt import UNANSWERED, WRONG_ANSWERS, ErrorKind

_job = JobRow.__table__  # type: ignore[attr-defined]
_item = ItemRow.__table__  # type: ignore[attr-defined]
_subtask = SubtaskRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def tenant_of(tx: Connection, *, job: str) -> str | None:
    """Return whose job it is; None when there is none."""
    tenant: str | None = tx.scalar(select(_job.c.tenant).where(_job.c.id == job))
    return tenant


def job_ids(
    tx: Connection,
    *,
    tenant: str | None,
    states: Collection[str] = (),
    purpose: str | None = None,
    before: str | None = None,
    by_end: bool = False,
    limit: int,
) -> list[str]:
    """Return ids of jobs, newest first (`by_end`: that ended last); `before` is the last one of the page before."""
    at = _job.c.ended_at if by_end else _job.c.created_at
    query = select(_job.c.id).order_by(at.desc(), _job.c.id.desc()).limit(limit)
    if tenant is not None:
        query = query.where(_job.c.tenant == tenant)
    if states:
        query = query.where(_job.c.state.in_(states))
    if purpose is not None:
        query = query.where(_job.c.purpose == purpose)
    if before is not None:
        query = query.where(_job.c.created_at < select(_job.c.created_at).where(_job.c.id == before).scalar_subquery())
    return list(tx.scalars(query))


def job_facts(tx: Connection, *, job: str) -> RowMapping:
    """Return the columns of a job that say what was asked for."""
    query = select(
        _job.c.name,
        _job.c.workflow,
        _job.c.goal,
        _job.c.tenant,
        _job.c.priority,
        _job.c.purpose,
        _job.c.segment,
        _job.c.deadline,
        _job.c.state,
        _job.c["items"],
    ).where(_job.c.id == job)
    return tx.execute(query).mappings().one()


def subtask_counts(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return (step, state, tier, count) of a job's subtasks."""
    columns = (_subtask.c.step, _subtask.c.state, _subtask.c.tier)
    query = select(*columns, func.count().label("count")).where(_subtask.c.job == job).group_by(*columns)
    return list(tx.execute(query).mappings())


def step_costs(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return (step, calls, priced calls, dollars, mean seconds) of a job's attempts."""
    query = (
        select(
            _attempt.c.step,
            func.count().label("calls"),
            func.count(_attempt.c.cost_usd).label("priced"),
            func.sum(_attempt.c.cost_usd).label("cost_usd"),
            func.avg(_attempt.c.latency_s).label("latency_s"),
        )
        .where(_attempt.c.job == job)
        .group_by(_attempt.c.step)
    )
    return list(tx.execute(query).mappings())


#: How sure an item's answers are: the least of its accepted ones, or as an earlier job had it; None: no signal spoke.
least_confidence = func.coalesce(
    _item.c.confidence,
    select(func.min(_attempt.c.confidence))
    .where(_attempt.c.job == _item.c.job, _attempt.c.item == _item.c.n, _attempt.c.verdict == "accept")
    .scalar_subquery(),
)


def shown(*more: ColumnElement[Any]) -> Select[Any]:
    """Return a query of items as people see them: with their `confidence`, their job's `breaks`, and `more`."""
    kept = [column for column in _item.c if column is not _item.c.confidence]
    query = select(*kept, least_confidence.label("confidence"), _job.c.breaks, *more)
    return query.outerjoin(_job, _job.c.id == _item.c.job)


def stream(tx: Connection, *, job: str, after: int, limit: int) -> list[RowMapping]:
    """Return up to `limit` items with numbers above `after`, in order; `repaired`: accepted answers that were mended.

    These are counted: to know whether there are any, PostgreSQL may look through the attempts of all jobs.
    """
    mended = select(func.count()).where(
        _attempt.c.job == _item.c.job,
        _attempt.c.item == _item.c.n,
        _attempt.c.verdict == "accept",
        _attempt.c.structured.endswith("+repair"),
    )
    query = shown(mended.scalar_subquery().label("repaired")).where(_item.c.job == job, _item.c.n > after)
    return list(tx.execute(query.order_by(_item.c.n).limit(limit)).mappings())


def item(tx: Connection, *, job: str, n: int) -> RowMapping | None:
    """Return one item; None when there is none of that number."""
    return tx.execute(shown().where(_item.c.job == job, _item.c.n == n)).mappings().first()


def ended_since(tx: Connection, *, jobs: Collection[str], since: datetime) -> dict[str, int]:
    """Return job -> how many of its items have ended since then."""
    query = (
        select(_item.c.job, func.count())
        .where(_item.c.job.in_(list(jobs)), _item.c.n >= 0, _item.c.ended_at >= since)
        .group_by(_item.c.job)
    )
    return {str(job): int(count) for job, count in tx.execute(query)}


def item_subtasks(tx: Connection, *, job: str, n: int) -> list[RowMapping]:
    """Return the subtasks of one item."""
    query = select(_subtask).where(_subtask.c.job == job, _subtask.c.item == n)
    return list(tx.execute(query).mappings())


def tokens_of(tx: Connection, *, job: str) -> tuple[int | None, int | None]:
    """Return the input and output tokens of all attempts of a job; None where no provider said."""
    query = select(func.sum(_attempt.c.input_tokens), func.sum(_attempt.c.output_tokens)).where(_attempt.c.job == job)
    row = tx.execute(query).one()
    return row[0], row[1]


# Across jobs --------------------------------------------------------------------------------------------------------


def _since(query: Select[Any], *, tenant: str | None, since: datetime) -> Select[Any]:
    query = query.join(_job, _job.c.id == _attempt.c.job).where(_attempt.c.started_at >= since)
    return query if tenant is None else query.where(_job.c.tenant == tenant)


def spending(tx: Connection, *, tenant: str | None, since: datetime) -> list[RowMapping]:
    """Return calls and dollars by day, model, tier, skill, tenant and purpose of the job."""
    keys = (
        func.date(_attempt.c.started_at).label("day"),
        _attempt.c.model,
        _attempt.c.tier,
        _attempt.c.skill,
        _job.c.tenant,
        _job.c.purpose,
    )
    query = select(
        *keys,
        func.count().label("calls"),
        func.count(_attempt.c.cost_usd).label("priced"),
        func.coalesce(func.sum(_attempt.c.cost_usd), 0.0).label("cost_usd"),
    )
    return list(tx.execute(_since(query, tenant=tenant, since=since).group_by(*keys)).mappings())


def billed(tx: Connection, *, provider: str) -> list[RowMapping]:
    """Return (day, model, calls, priced calls, tokens, dollars) of a provider's models, cached answers left out."""
    keys = (func.date(_attempt.c.started_at).label("day"), _attempt.c.model)
    query = select(
        *keys,
        func.count().label("calls"),
        func.count(_attempt.c.cost_usd).label("priced"),
        func.sum(_attempt.c.input_tokens).label("input_tokens"),
        func.sum(_attempt.c.output_tokens).label("output_tokens"),
        func.coalesce(func.sum(_attempt.c.cost_usd), 0.0).label("cost_usd"),
    ).where(
        _attempt.c.model.startswith(f"{provider}/", autoescape=True),
        _attempt.c.from_cache.is_(False),
        # What was turned away is on nobody's bill.
        or_(_attempt.c.error.is_(None), _attempt.c.error.not_in([kind.value for kind in UNANSWERED])),
    )
    return list(tx.execute(query.group_by(*keys)).mappings())


def runs_of(tx: Connection, *, tenant: str | None, since: datetime) -> list[RowMapping]:
    """Return id, profile and plan of the jobs of purpose `run` with calls since then."""
    recent = _since(select(_attempt.c.job), tenant=tenant, since=since).where(_job.c.purpose == "run").distinct()
    query = select(_job.c.id, _job.c.profile, _job.c.plan).where(_job.c.id.in_(recent))
    return list(tx.execute(query).mappings())


def model_marks(tx: Connection, *, tenant: str | None, since: datetime, skill: str | None = None) -> list[RowMapping]:
    """Return by model and tier: what came of the answers that were asked for, mean seconds and dollars."""
    keys = (_attempt.c.model, _attempt.c.tier)
    query = select(
        *keys,
        *_outcomes(),
        func.avg(_attempt.c.latency_s).label("latency_s"),
        func.avg(_attempt.c.cost_usd).label("cost_usd"),
    ).where(_attempt.c.purpose == "answer", true() if skill is None else _attempt.c.skill == skill)
    query = _since(query, tenant=tenant, since=since).group_by(*keys).order_by(_attempt.c.tier, _attempt.c.model)
    return list(tx.execute(query).mappings())


def task_stats(tx: Connection, *, tenant: str | None, since: datetime, skill: str | None = None) -> list[RowMapping]:
    """Return by skill: what came of the answers that were asked for, and the dollars of all calls."""
    is_answer = _attempt.c.purpose == "answer"
    query = select(
        _attempt.c.skill,
        *_outcomes(among=is_answer),
        func.sum(_attempt.c.cost_usd).label("cost_usd"),
    ).where(_attempt.c.skill != "" if skill is None else _attempt.c.skill == skill)
    query = _since(query, tenant=tenant, since=since).group_by(_attempt.c.skill).order_by(_attempt.c.skill)
    return list(tx.execute(query).mappings())


def jobs_with_skill(tx: Connection, *, tenant: str | None, skill: str, limit: int) -> list[RowMapping]:
    """Return id, name, state and submission of the newest jobs of purpose `run` in which a skill was asked."""
    asked = select(_attempt.c.job).where(_attempt.c.job == _job.c.id, _attempt.c.skill == skill).exists()
    query = select(_job.c.id, _job.c.name, _job.c.state, _job.c.created_at).where(_job.c.purpose == "run", asked)
    query = query.order_by(_job.c.created_at.desc()).limit(limit)
    return list(tx.execute(query if tenant is None else query.where(_job.c.tenant == tenant)).mappings())


def _outcomes(among: ColumnElement[bool] | None = None) -> tuple[ColumnElement[int], ...]:
    """Return the columns that count what came of answers that were asked for."""
    every = true() if among is None else among
    counted = {
        "attempts": every,
        "accepted": and_(every, _attempt.c.verdict == "accept"),
        "wrong": and_(every, _attempt.c.error.in_([kind.value for kind in WRONG_ANSWERS])),
        "unanswered": and_(every, _attempt.c.error.in_([kind.value for kind in UNANSWERED])),
        "unsure": and_(every, _attempt.c.error == ErrorKind.UNSURE.value),
    }
    return tuple(_count(condition).label(name) for name, condition in counted.items())


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def faults(tx: Connection, *, tenant: str | None, since: datetime) -> list[RowMapping]:
    """Return how often each kind of fault was met with items, by model and job."""
    keys = (_attempt.c.error, _attempt.c.model, _attempt.c.job, _job.c.name)
    query = select(*keys, func.count().label("count")).where(_attempt.c.error.is_not(None), _attempt.c.item >= 0)
    query = _since(query, tenant=tenant, since=since).group_by(*keys).order_by(func.count().desc())
    return list(tx.execute(query).mappings())


def faults_of(tx: Connection, *, job: str) -> list[RowMapping]:
    """Return how often each kind of fault was met with a job's items, by model, the most frequent first."""
    keys = (_attempt.c.error, _attempt.c.model)
    query = select(*keys, func.count().label("count")).where(
        _attempt.c.job == job, _attempt.c.item >= 0, _attempt.c.error.is_not(None)
    )
    return list(tx.execute(query.group_by(*keys).order_by(func.count().desc())).mappings())


def failures(tx: Connection, *, tenant: str | None, since: datetime, limit: int) -> list[RowMapping]:
    """Return why items failed: the reason, how many of which job, and one of them."""
    keys = (_item.c.reason, _item.c.job, _job.c.name)
    query = (
        select(*keys, func.count().label("count"), func.min(_item.c.n).label("n"))
        .join(_job, _job.c.id == _item.c.job)
        .where(_item.c.state == "failed", _item.c.n >= 0, _job.c.created_at >= since)
        .group_by(*keys)
        .order_by(func.count().desc())
        .limit(limit)
    )
    return list(tx.execute(query if tenant is None else query.where(_job.c.tenant == tenant)).mappings())


def with_key_prefix(tx: Connection, *, prefix: str) -> list[str]:
    """Return the jobs whose idempotency key begins so, in the order of their keys."""
    query = select(_job.c.id).where(_job.c.idempotency_key.startswith(prefix, autoescape=True))
    return list(tx.scalars(query.order_by(_job.c.idempotency_key)))


def keys_of(tx: Connection, *, purpose: str, tenant: str | None, limit: int) -> list[str]:
    """Return the idempotency keys of the newest jobs of a purpose that have one, newest first."""
    query = select(_job.c.idempotency_key).where(_job.c.purpose == purpose, _job.c.idempotency_key.is_not(None))
    query = query if tenant is None else query.where(_job.c.tenant == tenant)
    return list(tx.scalars(query.order_by(_job.c.created_at.desc()).limit(limit)))


_item = ItemRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]


def all_calls(tx: Connection, *, job: str) -> Iterator[RowMapping]:
    """Yield all calls for a job's items, whatever for, in the order of items, steps and n; repeated ones left out."""
    query = (
        select(_attempt, _item.c.item_id)
        .join(_item, and_(_item.c.job == _attempt.c.job, _item.c.n == _attempt.c.item))
        .where(_attempt.c.job == job, _attempt.c.verdict != "repeated", _item.c.n >= 0)
        .order_by(_attempt.c.item, _attempt.c.step, _attempt.c.n)
    )
    yield from tx.execution_options(yield_per=1000).execute(query).mappings()


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
