"""How often judges are wrong, in SQL."""

from sqlalchemy import Connection, RowMapping, select

from firstline.orchestrator.store.quality_tables import JudgeErrorRow

_error = JudgeErrorRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, row: JudgeErrorRow) -> None:
    """Write down what a judge said of labelled pairs."""
    tx.execute(_error.insert().values(**row.model_dump(exclude={"id"})))


def newest(tx: Connection, *, tenant: str, skill_digest: str, model: str) -> RowMapping | None:
    """Return `same`, `alarms`, `different` and `missed` of a judge, as measured last; None: nobody has measured it."""
    query = (
        select(_error.c.same, _error.c.alarms, _error.c.different, _error.c.missed)
        .where(_error.c.tenant == tenant, _error.c.skill_digest == skill_digest, _error.c.model == model)
        .order_by(_error.c.id.desc())
        .limit(1)
    )
    return tx.execute(query).mappings().first()
