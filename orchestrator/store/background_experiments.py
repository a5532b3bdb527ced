"""Calibrations and tunings that go on in the background."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select, update

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import BackgroundExperimentRow

_run = BackgroundExperimentRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, row: BackgroundExperimentRow) -> None:
    """Write one that begins."""
    tx.execute(_run.insert().values(**row.model_dump()))


def heard(tx: Connection, *, run: str, jobs: Sequence[str]) -> bool:
    """Note that one goes on, and the jobs that answer for it so far; False: it is to go on no longer."""
    going = update(_run).where(_run.c.id == run, _run.c.state == "running")
    return bool(tx.execute(going.values(jobs=list(jobs), heard_at=now())).rowcount)


def end(tx: Connection, *, run: str, state: str, said: Sequence[str], tuning: int | None = None) -> bool:
    """Note what came of one; False: it had ended."""
    running = update(_run).where(_run.c.id == run, _run.c.state == "running")
    return bool(tx.execute(running.values(state=state, said=list(said), tuning=tuning, heard_at=now())).rowcount)


def get(tx: Connection, *, run: str, tenant: str | None) -> RowMapping | None:
    """Return one; None where there is none of that id that this tenant may see."""
    query = select(_run).where(_run.c.id == run)
    return tx.execute(query if tenant is None else query.where(_run.c.tenant == tenant)).mappings().first()


def listed(tx: Connection, *, kind: str | None, tenant: str | None, limit: int) -> Sequence[RowMapping]:
    """Return those of a kind and of a tenant, or of all (None), the newest first."""
    query = select(_run).order_by(_run.c.begun_at.desc()).limit(limit)
    query = query if kind is None else query.where(_run.c.kind == kind)
    return tx.execute(query if tenant is None else query.where(_run.c.tenant == tenant)).mappings().all()


def running(tx: Connection, *, tenant: str, since: datetime) -> int:
    """Return how many of a tenant are running and were heard of since."""
    query = select(func.count()).where(_run.c.tenant == tenant, _run.c.state == "running", _run.c.heard_at >= since)
    return int(tx.scalar(query) or 0)
