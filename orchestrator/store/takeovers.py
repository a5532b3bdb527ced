"""Answers that a job takes over from earlier ones: found by recipe and content, copied where they lie."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.many import Many, StatementRows
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow
from firstline.schemas.job import ItemState

_item = ItemRow.__table__  # type: ignore[attr-defined]
_job = JobRow.__table__  # type: ignore[attr-defined]
_attempt = AttemptRow.__table__  # type: ignore[attr-defined]
_earlier = _item.alias("earlier")


def jobs_of(tx: Connection, *, recipe: str, tenant: str, purpose: str, limit: int) -> list[Row[str, Any]]:
    """Return (id, plan) of a tenant's newest jobs that were made by a recipe, newest first."""
    query = select(_job.c.id, _job.c.plan).where(
        _job.c.recipe == recipe, _job.c.tenant == tenant, _job.c.purpose == purpose
    )
    return list(tx.execute(query.order_by(_job.c.created_at.desc()).limit(limit)).all())


def settled(tx: Connection, *, jobs: Collection[str], digests: Collection[str]) -> list[Row[str, str, int, str | None]]:
    """Return (digest, job, number, tier) of the settled items of these jobs that have one of these contents."""
    query = select(_item.c.digest, _item.c.job, _item.c.n, _item.c.tier).where(
        _item.c.digest.in_(digests), _item.c.job.in_(jobs), _item.c.state == ItemState.SETTLED.value
    )
    return list(tx.execute(query).all())


_SUREST = (
    select(func.min(_attempt.c.confidence))
    .where(_attempt.c.job == _earlier.c.job, _attempt.c.item == _earlier.c.n, _attempt.c.verdict == "accept")
    .scalar_subquery()
)


def _copied(given: StatementRows, _: str) -> Any:
    return (
        update(_item)
        .where(
            _item.c.job == given["in_job"],
            _item.c.n == given["in_n"],
            _earlier.c.job == given["from_job"],
            _earlier.c.n == given["from_n"],
        )
        .values(
            state=_earlier.c.state,
            output=_earlier.c.output,
            tier=_earlier.c.tier,
            climbed=_earlier.c.climbed,
            reason=_earlier.c.reason,
            ended_at=given["ended_at"],
            # What was taken over before was answered, and paid, in the job that it came from.
            taken_from=func.coalesce(_earlier.c.taken_from, _earlier.c.job),
            saved_usd=func.coalesce(_earlier.c.saved_usd, _earlier.c.cost_usd),
            confidence=func.coalesce(_earlier.c.confidence, _SUREST),
        )
    )


_TAKE = Many(
    _copied,
    {
        **{"in_job": _item.c.job.type, "in_n": _item.c.n.type},
        **{"from_job": _item.c.job.type, "from_n": _item.c.n.type, "ended_at": _item.c.ended_at.type},
    },
)


def take(tx: Connection, *, job: str, found: Sequence[tuple[int, str, int]]) -> None:
    """Give items of a job what earlier items came to, at no cost; (number, earlier job, earlier number) of each."""
    at = now()
    rows = [
        {"in_job": job, "in_n": n, "from_job": earlier, "from_n": number, "ended_at": at}
        for n, earlier, number in found
    ]
    _TAKE.run(tx, rows)


def taken(tx: Connection, *, job: str) -> tuple[int, float]:
    """Return how many items of a job were taken over, and the dollars that they cost when they were answered."""
    mine = and_(_item.c.job == job, _item.c.taken_from.is_not(None))
    count, saved_usd = tx.execute(select(func.count(), func.sum(_item.c.saved_usd)).where(mine)).one()
    return int(count), float(saved_usd or 0.0)
