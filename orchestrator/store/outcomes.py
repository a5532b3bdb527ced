"""What tiers came to, skill by skill: a row for each trail that was judged, read by the most recent ones."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from firstline.orchestrator.store.quality_tables import OutcomeRow

_outcome = OutcomeRow.__table__  # type: ignore[attr-defined]


def add(tx: Connection, *, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write down what trails came to."""
    if rows:
        tx.execute(insert(_outcome), [dict(row) for row in rows])


def recent(
    tx: Connection, *, tenant: str, skill_digest: str, model: str, rows: int, purposes: Collection[str]
) -> list[RowMapping]:
    """Return a model's latest outcomes with a skill in jobs of some purposes, the newest first; none: of all jobs."""
    of_purpose = (_outcome.c.purpose.in_(purposes),) if purposes else ()
    query = (
        select(_outcome)
        .where(
            _outcome.c.tenant == tenant,
            _outcome.c.skill_digest == skill_digest,
            _outcome.c.model == model,
            *of_purpose,
        )
        .order_by(_outcome.c.id.desc())
        .limit(rows)
    )
    return list(tx.execute(query).mappings())
