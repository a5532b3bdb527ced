"""Browsers that are logged in, by the digest of their cookie."""

from datetime import timedelta

from sqlalchemy import Connection, RowMapping, and_, delete, or_, select, update

from firstline.orchestrator.store.access_tables import SessionRow, TokenRow
from firstline.orchestrator.store.jobs import clock
from firstline.orchestrator.store.tokens import is_live

_session = SessionRow.__table__  # type: ignore[attr-defined]
_token = TokenRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, row: SessionRow) -> None:
    """Write a new session, and forget those that have ended."""
    tx.execute(delete(_session).where(_session.c.expires_at <= clock(tx)))
    tx.execute(_session.insert().values(**row.model_dump()))


def live(tx: Connection, *, digest: str, idle_s: float) -> RowMapping | None:
    """Return the session of that digest, unless it has ended, its token has, or nobody used it for so long."""
    query = (
        select(_session)
        .join(_token, _token.c.id == _session.c.token, isouter=True)
        .where(
            _session.c.digest == digest,
            _session.c.expires_at > clock(tx),
            _session.c.used_at > clock(tx) - timedelta(seconds=idle_s),
            or_(_session.c.token.is_(None), and_(_token.c.id.is_not(None), *is_live(tx))),
        )
    )
    return tx.execute(query).mappings().first()


def touch(tx: Connection, *, digest: str) -> None:
    """Note that a session is used now."""
    tx.execute(update(_session).where(_session.c.digest == digest).values(used_at=clock(tx)))


def end(tx: Connection, *, digest: str) -> None:
    """End a session."""
    tx.execute(delete(_session).where(_session.c.digest == digest))
