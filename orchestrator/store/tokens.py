"""API tokens, by the digest of what is secret about them."""

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, update

from firstline.orchestrator.store.access_tables import TokenRow
from firstline.orchestrator.store.jobs import clock

_token = TokenRow.__table__  # type: ignore[attr-defined]


def insert(tx: Connection, *, row: TokenRow) -> None:
    """Write a new token."""
    tx.execute(_token.insert().values(**row.model_dump()))


def every(tx: Connection) -> list[RowMapping]:
    """Return all tokens, newest first."""
    return list(tx.execute(select(_token).order_by(_token.c.created_at.desc())).mappings())


def live(tx: Connection, *, digest: str) -> RowMapping | None:
    """Return the token of that digest, unless it is revoked or has expired."""
    query = select(_token).where(_token.c.digest == digest, *is_live(tx))
    return tx.execute(query).mappings().first()


def count_live(tx: Connection) -> int:
    """Return how many tokens are in force."""
    return int(tx.scalar(select(func.count()).select_from(_token).where(*is_live(tx))) or 0)


def is_live(tx: Connection) -> tuple[ColumnElement[bool], ...]:
    """Return what holds of tokens that are in force."""
    return _token.c.revoked_at.is_(None), or_(_token.c.expires_at.is_(None), _token.c.expires_at > clock(tx))


def exists(tx: Connection) -> bool:
    """Return whether there ever was a token, in force or not."""
    return tx.execute(select(_token.c.id).limit(1)).first() is not None


def touch(tx: Connection, *, token: str) -> None:
    """Note that a token is used now."""
    tx.execute(update(_token).where(_token.c.id == token).values(last_used_at=clock(tx)))


def revoke(tx: Connection, *, token: str) -> bool:
    """End a token; return whether there was one in force of that id."""
    query = update(_token).where(_token.c.id == token, _token.c.revoked_at.is_(None))
    return tx.execute(query.values(revoked_at=clock(tx))).rowcount == 1
