"""The outbox of webhooks: whom to tell what, until it has been heard."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, or_, select, update

from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tables import JobRow, WebhookRow
from firstline.schemas.job import JobState

_job = JobRow.__table__  # type: ignore[attr-defined]
_webhook = WebhookRow.__table__  # type: ignore[attr-defined]

#: States in which a job has come to rest, and somebody may have to do something.
TOLD = (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.PAUSED, JobState.AWAITING_APPROVAL)


def expect(tx: Connection, *, job: str, url: str) -> None:
    """Note whom to tell about a job."""
    tx.execute(_webhook.insert().values(**WebhookRow(job=job, url=url, due_at=clock(tx)).model_dump()))


def due(tx: Connection) -> bool:
    """Return whether any delivery's time has come."""
    return tx.execute(_due(tx).limit(1)).first() is not None


def claim(tx: Connection, *, limit: int, for_s: float) -> list[RowMapping]:
    """Return deliveries whose time has come, tenants taking turns, and keep others from them for so many seconds."""
    turn = func.row_number().over(partition_by=_job.c.tenant, order_by=_webhook.c.due_at)
    rows = tx.execute(_due(tx).order_by(turn, _webhook.c.due_at).limit(limit)).mappings()
    return [row for row in rows.all() if _take(tx, row, for_s)]


def _due(tx: Connection) -> Select[Any]:
    news = or_(
        _webhook.c.told.is_distinct_from(_job.c.state), _webhook.c.told_ended_at.is_distinct_from(_job.c.ended_at)
    )
    columns = (_webhook.c.job, _webhook.c.url, _webhook.c.failures, _webhook.c.due_at, _job.c.state, _job.c.ended_at)
    return (
        select(*columns)
        .join(_job, _job.c.id == _webhook.c.job)
        .where(
            _webhook.c.state == "waiting",
            _webhook.c.due_at <= clock(tx),
            _job.c.state.in_([state.value for state in TOLD]),
            news,
        )
    )


def _take(tx: Connection, row: RowMapping, for_s: float) -> bool:
    mine = and_(_webhook.c.job == row["job"], _webhook.c.due_at == row["due_at"])
    query = update(_webhook).where(mine).values(due_at=clock(tx) + timedelta(seconds=for_s))
    return tx.execute(query).rowcount == 1


def heard(tx: Connection, *, job: str, told: str, ended_at: datetime | None) -> None:
    """Note that a delivery was answered well."""
    values = {"told": told, "told_ended_at": ended_at, "failures": 0, "reason": None, "due_at": clock(tx)}
    tx.execute(update(_webhook).where(_webhook.c.job == job).values(**values))


def unheard(tx: Connection, *, job: str, reason: str, again_s: float | None) -> None:
    """Note a delivery that failed; the next is due in `again_s` seconds, None: there is none."""
    values: dict[str, object] = {"failures": _webhook.c.failures + 1, "reason": reason}
    if again_s is None:
        values["state"] = "given_up"
    else:
        values["due_at"] = clock(tx) + timedelta(seconds=again_s)
    tx.execute(update(_webhook).where(_webhook.c.job == job).values(**values))


def of(tx: Connection, *, job: str) -> RowMapping | None:
    """Return how it stands with a job's webhook; None where it has none."""
    return tx.execute(select(_webhook).where(_webhook.c.job == job)).mappings().first()
