"""Browsers' visits: a cookie that stands for a session here, which ends with log-out, with its token, and by itself."""

import hashlib
import secrets
from datetime import timedelta

from firstline.orchestrator.store import sessions
from firstline.orchestrator.store.access_tables import SessionRow
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.jobs import now
from firstline.schemas.access import Role
from firstline.schemas.base import Frozen

#: Seconds that a session lasts, and that it lasts without being used.
KEPT_S = 30 * 24 * 3600.0
IDLE_S = 3 * 24 * 3600.0
#: Seconds between two notes of its use.
_NOTED_S = 60.0


class BrowserSession(Frozen):
    """Who is logged in."""

    name: str
    role: Role
    tenant: str
    #: The token that logged in; None: a person whom an identity provider knows.
    token: str | None = None


def begin(db: Database, session: BrowserSession, *, kept_s: float = KEPT_S) -> str:
    """Log somebody in for so many seconds; return the cookie, which is kept nowhere else."""
    cookie, at = secrets.token_urlsafe(32), now()
    row = SessionRow(
        digest=_digest(cookie),
        token=session.token,
        name=session.name,
        role=session.role.value,
        tenant=session.tenant,
        created_at=at,
        used_at=at,
        expires_at=at + timedelta(seconds=kept_s),
    )
    with db.writing() as tx:
        sessions.insert(tx, row=row)
    return cookie


def recognise(db: Database, cookie: str) -> BrowserSession | None:
    """Return whose cookie this is; None where the session or its token has ended."""
    with db.reading() as tx:
        row = sessions.live(tx, digest=_digest(cookie), idle_s=IDLE_S)
    if row is None:
        return None
    if now() - row["used_at"] > timedelta(seconds=_NOTED_S):
        with db.writing() as tx:
            sessions.touch(tx, digest=row["digest"])
    return BrowserSession(name=row["name"], role=Role(row["role"]), tenant=row["tenant"], token=row["token"])


def end(db: Database, cookie: str) -> None:
    """Log somebody out."""
    with db.writing() as tx:
        sessions.end(tx, digest=_digest(cookie))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
