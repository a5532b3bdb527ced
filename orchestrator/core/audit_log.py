"""The audit log: what was done over the API, on the pages and with tokens, and by whom."""

import getpass
import logging
from datetime import MAXYEAR, UTC, date, datetime, time, timedelta
from typing import Any, Literal

from pydantic import Field

from firstline.orchestrator.store import audit_log
from firstline.orchestrator.store.access_tables import AuditLogRow
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.jobs import now
from firstline.schemas.base import Frozen
from firstline.schemas.errors import FirstlineError

_log = logging.getLogger(__name__)

#: Longer paths and names are cut.
_LONGEST = 300
_TEXT = r"^[^\x00]*$"


class AuditEntry(Frozen):
    """What somebody did, or tried to do."""

    id: int
    at: datetime
    #: The token's or the person's name; empty: nobody that is known.
    who: str
    token: str | None
    role: str | None
    tenant: str | None
    #: The address that it came from, or `command line`.
    source: str
    #: The route or command.
    action: str
    #: What it was about.
    target: str
    #: HTTP status of the answer; None: a command.
    status: int | None


def note(
    db: Database,
    *,
    action: str,
    target: str,
    source: str,
    who: str = "",
    token: str | None = None,
    role: str | None = None,
    tenant: str | None = None,
    status: int | None = None,
) -> None:
    """Write down what was done; a database that is away keeps nobody from it."""
    row = AuditLogRow(
        at=now(),
        who=who[:_LONGEST],
        token=token,
        role=role,
        tenant=tenant,
        source=source[:_LONGEST],
        action=action[:_LONGEST],
        target=target[:_LONGEST],
        status=status,
    )
    try:
        with db.writing() as tx:
            audit_log.note(tx, row=row)
    except FirstlineError:
        _log.error("audit_log.unwritten", extra={"action": row.action, "target": row.target})


def note_command(db: Database, *, action: str, target: str) -> None:
    """Write down what somebody did on the command line of a machine of the deployment."""
    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = "this machine"
    note(db, action=action, target=target, source="command line", who=who)


class DeedQuery(Frozen):
    """Which of what was done is looked at: parts of texts, as people type them."""

    who: str = Field(default="", max_length=100, pattern=_TEXT)
    action: str = Field(default="", max_length=100, pattern=_TEXT)
    target: str = Field(default="", max_length=100, pattern=_TEXT)
    source: str = Field(default="", max_length=100, pattern=_TEXT)
    tenant: str = Field(default="", max_length=100, pattern=_TEXT)
    #: `yes`: what was refused; `no`: the rest.
    refused: Literal["", "yes", "no"] = ""
    #: Days of UTC, both of them whole.
    since: date | Literal[""] = ""
    until: date | Literal[""] = ""

    @property
    def parts(self) -> dict[str, Any]:
        """As the store takes it."""
        texts = {name: getattr(self, name) for name in ("who", "action", "target", "source", "tenant")}
        since, until = (datetime.combine(day, time(), UTC) if day else None for day in (self.since, self.until))
        # The last day that there is has no next.
        end = until + timedelta(days=1) if until is not None and until.year < MAXYEAR else None
        return {**texts, "refused": None if not self.refused else self.refused == "yes", "since": since, "until": end}


def count(db: Database, query: DeedQuery) -> int:
    """Return how much of what was done fits."""
    with db.reading() as tx:
        return audit_log.count(tx, **query.parts)


def fitting(db: Database, query: DeedQuery, *, offset: int, limit: int) -> list[AuditEntry]:
    """Return what fits, newest first, from a place on."""
    with db.reading() as tx:
        rows = audit_log.latest(tx, limit=limit, offset=offset, **query.parts)
    return [AuditEntry.model_validate(dict(row)) for row in rows]


def deeds(db: Database, *, limit: int = 100, tenant: str | None = None, before: int | None = None) -> list[AuditEntry]:
    """Return what was done last, newest first."""
    with db.reading() as tx:
        rows = audit_log.latest(tx, limit=limit, tenant=tenant, before=before)
    return [AuditEntry.model_validate(dict(row)) for row in rows]
