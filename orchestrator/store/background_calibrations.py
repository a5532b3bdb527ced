"""Calibrations that go on in the background."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select, update

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import BackgroundCalibrationRow

_run = BackgroundCalibrationRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, row: BackgroundCalibrationRow) -> None:
    """Write one that begins."""
    tx.execute(_run.insert().values(**row.model_dump()))


def heard(tx: Connection, *, run: str, jobs: Sequence[str]) -> None:
    """Note that one goes on, and the jobs that answer for it so far."""
    tx.execute(update(_run).where(_run.c.id == run).values(jobs=list(jobs), heard_at=now()))


def end(tx: Connection, *, run: str, state: str, said: Sequence[str]) -> None:
    """Note what came of one."""
    tx.execute(update(_run).where(_run.c.id == run).values(state=state, said=list(said), heard_at=now()))


def get(tx: Connection, *, run: str, tenant: str | None) -> RowMapping | None:
    """Return one; None where there is none of that id that this tenant may see."""
    query = select(_run).where(_run.c.id == run)
    return tx.execute(query if tenant is None else query.where(_run.c.tenant == tenant)).mappings().first()


def listed(tx: Connection, *, tenant: str | None, limit: int) -> Sequence[RowMapping]:
    """Return those of a tenant, or of all, the newest first."""
    query = select(_run).order_by(_run.c.begun_at.desc()).limit(limit)
    return tx.execute(query if tenant is None else query.where(_run.c.tenant == tenant)).mappings().all()
