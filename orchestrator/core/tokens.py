"""Bearer tokens of the HTTP API: made, listed, revoked, recognised."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import RowMapping

from firstline.orchestrator.store import tokens
from firstline.orchestrator.store.access_tables import TokenRow
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.jobs import now
from firstline.schemas.access import Role, Token
from firstline.schemas.errors import UserError

#: How a token begins, so that scanners for leaked secrets can tell it.
PREFIX = "fl_"
#: Between two notes of a token's use.
_NOTED = timedelta(minutes=1)


def create(db: Database, *, name: str, role: Role, tenant: str, days: float | None = None) -> tuple[str, Token]:
    """Make a token; return it, which nobody can look up again, and how it is listed."""
    token = f"{PREFIX}{secrets.token_urlsafe(32)}"
    made_at = now()
    row = TokenRow(
        id=secrets.token_hex(4),
        name=name,
        digest=_digest(token),
        role=role.value,
        tenant=tenant,
        created_at=made_at,
        expires_at=made_at + timedelta(days=days) if days is not None else None,
    )
    with db.writing() as tx:
        tokens.insert(tx, row=row)
    return token, Token.model_validate(row.model_dump(exclude={"digest"}))


def listed(db: Database) -> list[Token]:
    """Return all tokens, newest first."""
    with db.reading() as tx:
        return [_token(row) for row in tokens.every(tx)]


def revoke(db: Database, token_id: str) -> None:
    """End a token at once; UserError when none in force has that id."""
    with db.writing() as tx:
        if not tokens.revoke(tx, token=token_id):
            raise UserError(f"no token in force has the id '{token_id}'; `firstline token list` shows them")


def recognise(db: Database, token: str) -> Token | None:
    """Return whose token this is; None where it is unknown, revoked or expired."""
    with db.reading() as tx:
        row = tokens.live(tx, digest=_digest(token))
    if row is None:
        return None
    if row["last_used_at"] is None or now() - row["last_used_at"] > _NOTED:
        with db.writing() as tx:
            tokens.touch(tx, token=row["id"])
    return _token(row)


def exist(db: Database) -> bool:
    """Return whether there ever was a token: from the first on, nobody comes in without one."""
    with db.reading() as tx:
        return tokens.exists(tx)


def _token(row: RowMapping) -> Token:
    return Token.model_validate({name: row[name] for name in Token.model_fields})


def _digest(token: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()
