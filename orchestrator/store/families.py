"""Families in SQL: what they are, what they cost, and samples of their requests."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from firstline.orchestrator.store.family_tables import FamilyRow, FamilySampleRow, PassedOnRow
from firstline.orchestrator.store.items import insert_for, insert_or_ignore
from firstline.orchestrator.store.jobs import now

_family = FamilyRow.__table__  # type: ignore[attr-defined]
_sample = FamilySampleRow.__table__  # type: ignore[attr-defined]
_passed = PassedOnRow.__table__  # type: ignore[attr-defined]
#: What requests add to a family's account.
COUNTS = ("requests", "top_calls", "top_usd", "served", "served_usd", "shadow_usd")


def listed(tx: Connection, *, tenant: str | None = None) -> list[RowMapping]:
    """Return the families of a tenant, or of all, those that cost most first; merged ones are left out."""
    query = select(_family).where(_family.c.merged_into.is_(None)).order_by(_family.c.top_usd.desc(), _family.c.id)
    return list(tx.execute(query if tenant is None else query.where(_family.c.tenant == tenant)).mappings())


def every(tx: Connection) -> list[RowMapping]:
    """Return all families, merged ones too."""
    return list(tx.execute(select(_family)).mappings())


def get(tx: Connection, *, family: str) -> RowMapping | None:
    """Return a family; None: there is none of that id."""
    return tx.execute(select(_family).where(_family.c.id == family)).mappings().first()


def of_shape(tx: Connection, *, shape: str, newest: int) -> list[RowMapping]:
    """Return so many of the newest families of a shape that stand by themselves."""
    query = select(_family).where(_family.c.shape == shape, _family.c.merged_into.is_(None))
    return list(tx.execute(query.order_by(_family.c.created_at.desc()).limit(newest)).mappings())


def count(tx: Connection, *, tenant: str) -> int:
    """Return how many families a tenant has that stand by themselves."""
    query = select(func.count()).where(_family.c.tenant == tenant, _family.c.merged_into.is_(None))
    return int(tx.scalar(query) or 0)


def insert(tx: Connection, *, row: FamilyRow) -> None:
    """Write a family down where it is not known yet."""
    tx.execute(insert_or_ignore(tx, _family), [row.model_dump()])


def change(tx: Connection, *, family: str, **values: Any) -> None:
    """Note what has become of a family."""
    tx.execute(update(_family).where(_family.c.id == family).values(**values))


def add(tx: Connection, *, family: str, counts: Mapping[str, float]) -> None:
    """Add to a family's account."""
    values = {name: _family.c[name] + counts[name] for name in COUNTS if counts.get(name)}
    tx.execute(update(_family).where(_family.c.id == family).values(seen_at=now(), **values))


def merged(tx: Connection, *, families: Collection[str]) -> dict[str, str]:
    """Return which of these families have become parts of others, and of which."""
    query = select(_family.c.id, _family.c.merged_into)
    query = query.where(_family.c.id.in_(families), _family.c.merged_into.is_not(None))
    return {row.id: row.merged_into for row in tx.execute(query)}


def merge(tx: Connection, *, families: Collection[str], into: str) -> None:
    """Make families part of another: their accounts and their samples go there."""
    sums = [func.sum(_family.c[name]).label(name) for name in COUNTS]
    whole = tx.execute(select(*sums).where(_family.c.id.in_(families))).mappings().one()
    add(tx, family=into, counts={name: whole[name] or 0 for name in COUNTS})
    tx.execute(update(_family).where(_family.c.id.in_(families)).values(merged_into=into, **dict.fromkeys(COUNTS, 0)))
    tx.execute(update(_sample).where(_sample.c.family.in_(families)).values(family=into))


# Samples ----------------------------------------------------------------------------------------------------------


def keep(tx: Connection, *, rows: Sequence[FamilySampleRow]) -> None:
    """Write samples down."""
    if rows:
        tx.execute(_sample.insert(), [row.model_dump(exclude={"id"}) for row in rows])


def samples(tx: Connection, *, family: str, state: str, since: datetime | None = None) -> list[RowMapping]:
    """Return a family's samples in a state, oldest first."""
    query = select(_sample).where(_sample.c.family == family, _sample.c.state == state).order_by(_sample.c.id)
    return list(tx.execute(query if since is None else query.where(_sample.c.at > since)).mappings())


def by_state(tx: Connection, *, state: str) -> dict[str, int]:
    """Return how many samples in a state each family has."""
    query = select(_sample.c.family, func.count()).where(_sample.c.state == state).group_by(_sample.c.family)
    return {family: int(number) for family, number in tx.execute(query)}


def set_samples(tx: Connection, *, ids: Collection[int], **values: Any) -> None:
    """Note what has become of samples."""
    tx.execute(update(_sample).where(_sample.c.id.in_(ids)).values(**values))


def forget(tx: Connection, *, family: str) -> None:
    """Remove the samples of a family."""
    tx.execute(delete(_sample).where(_sample.c.family == family))


# Money ------------------------------------------------------------------------------------------------------------


def pass_on(tx: Connection, *, tenant: str, calls: int, usd: float) -> None:
    """Add requests to what a tenant's top models have cost today."""
    query = insert_for(tx.dialect.name, _passed).values(tenant=tenant, day=f"{now():%Y-%m-%d}", calls=calls, usd=usd)
    more = {"calls": _passed.c.calls + calls, "usd": _passed.c.usd + usd}
    tx.execute(query.on_conflict_do_update(index_elements=["tenant", "day"], set_=more))


def passed_on_usd(tx: Connection, *, tenant: str | None, since: datetime | None = None) -> float:
    """Return what requests of a tenant (None: any) to top models have cost, ever or from a day on."""
    query = select(func.sum(_passed.c.usd))
    if tenant is not None:
        query = query.where(_passed.c.tenant == tenant)
    if since is not None:
        query = query.where(_passed.c.day >= f"{since:%Y-%m-%d}")
    return float(tx.scalar(query) or 0.0)
