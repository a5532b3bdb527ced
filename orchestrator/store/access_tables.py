"""The tables of who may come in, and of what they did."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from firstline.orchestrator.store.types import UtcDateTime


class TokenRow(SQLModel, table=True):
    """A bearer token of the HTTP API; the token itself is never kept."""

    __tablename__ = "token"

    id: str = Field(primary_key=True)
    name: str
    #: SHA-256 of the token, in hex.
    digest: str = Field(unique=True)
    role: str
    tenant: str = "default"
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: To the minute.
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SessionRow(SQLModel, table=True):
    """A browser that is logged in; its cookie is kept nowhere but there."""

    __tablename__ = "session"
    __table_args__ = (Index("session_by_token", "token"),)

    #: SHA-256 of the cookie, in hex.
    digest: str = Field(primary_key=True)
    #: The token that logged it in, with which it ends.
    token: str | None = None
    name: str
    role: str
    tenant: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    #: When it was last used, to the minute.
    used_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)


class AuditLogRow(SQLModel, table=True):
    """What somebody did, or tried to do, that changes something."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_by_time", "at"),)

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)
    #: The token's or the person's name; `this machine` where nobody logs in; empty: nobody knows.
    who: str = ""
    token: str | None = None
    role: str | None = None
    tenant: str | None = None
    #: The address that it came from, or `command line`.
    source: str = ""
    #: The route or command.
    action: str
    #: What it was about: the route's path as it was asked for, a token's id.
    target: str = ""
    #: HTTP status of the answer; None: a command.
    status: int | None = None
