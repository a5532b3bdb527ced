"""Tunings: what each of them came to."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import TuningRow
from firstline.schemas.base import JsonObject

_tuning = TuningRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, tenant: str, workflow: str, report: JsonObject, origin: JsonObject | None) -> int:
    """Keep a tuning; return its number."""
    made = _tuning.insert().values(tenant=tenant, workflow=workflow, report=report, origin=origin, at=now())
    return int(tx.execute(made.returning(_tuning.c.id)).scalar_one())


def listed(tx: Connection, *, tenant: str | None, limit: int = 50) -> Sequence[RowMapping]:
    """Return the tunings of a tenant, or of all, the newest first."""
    query = select(_tuning).order_by(_tuning.c.id.desc()).limit(limit)
    return tx.execute(query if tenant is None else query.where(_tuning.c.tenant == tenant)).mappings().all()


def get(tx: Connection, *, tuning: int, tenant: str | None) -> RowMapping | None:
    """Return one tuning; None where there is none of that number that this tenant may see."""
    query = select(_tuning).where(_tuning.c.id == tuning)
    return tx.execute(query if tenant is None else query.where(_tuning.c.tenant == tenant)).mappings().first()
