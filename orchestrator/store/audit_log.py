"""Who did what, when, from where."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from firstline.orchestrator.store.access_tables import AuditLogRow

_log = AuditLogRow.__table__  # type: ignore[attr-defined]


def note(tx: Connection, *, row: AuditLogRow) -> None:
    """Write down what somebody did."""
    tx.execute(_log.insert().values(**row.model_dump(exclude={"id"})))


def latest(
    tx: Connection, *, limit: int, tenant: str | None = None, before: int | None = None, offset: int = 0, **parts: Any
) -> list[RowMapping]:
    """Return what was done last in a tenant, or in all, newest first; `parts` as `count` takes them."""
    query = select(_log).where(*_which(tenant=tenant, **parts)).order_by(_log.c.id.desc()).limit(limit).offset(offset)
    return list(tx.execute(query if before is None else query.where(_log.c.id < before)).mappings())


def count(tx: Connection, **parts: Any) -> int:
    """Return how much was done: parts of `who`, `action`, `target`, `source`; whether refused; since and until when."""
    return int(tx.scalar(select(func.count()).select_from(_log).where(*_which(**parts))) or 0)


def _which(
    *,
    tenant: str | None = None,
    who: str = "",
    action: str = "",
    target: str = "",
    source: str = "",
    refused: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ColumnElement[bool]]:
    texts = {_log.c.who: who, _log.c.action: action, _log.c.target: target, _log.c.source: source}
    found = [column.icontains(text, autoescape=True) for column, text in texts.items() if text]
    found += [_log.c.tenant == tenant] if tenant else []
    if refused is not None:
        is_refused = func.coalesce(_log.c.status, 0) >= 400
        found.append(is_refused if refused else ~is_refused)
    found += [_log.c.at >= since] if since is not None else []
    return found + ([_log.c.at < until] if until is not None else [])
