"""The audit log: what was done over the API, on the pages and with tokens, and by whom."""

import getpass
import logging
from datetime import datetime

from firstline.orchestrator.store import audit_log
from firstline.orchestrator.store.access_tables import AuditLogRow
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.jobs import now
from firstline.schemas.base import Frozen
from firstline.schemas.errors import FirstlineError

_log = logging.getLogger(__name__)

#: Longer paths and names are cut.
_LONGEST = 300


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


def deeds(db: Database, *, limit: int = 100, tenant: str | None = None, before: int | None = None) -> list[AuditEntry]:
    """Return what was done last, newest first."""
    with db.reading() as tx:
        rows = audit_log.latest(tx, limit=limit, tenant=tenant, before=before)
    return [AuditEntry.model_validate(dict(row)) for row in rows]
