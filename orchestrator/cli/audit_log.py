"""`firstline audit-log`: who did what, when, from where."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def audit_log(
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 50,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only what one tenant's tokens did.")] = None,
    as_json: Json = False,
) -> None:
    """Show what was done over the API, on the pages and with tokens, newest first."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.core.audit_log import deeds

    found = deeds(api.engine().db, limit=limit, tenant=tenant)
    if as_json:
        show_json(found)
        return
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M:%S}", one.who, one.role or "", one.source, one.action, one.target, one.status or "")
        for one in found
    ]
    show_table(("when", "who", "role", "from", "what", "about", "answer"), rows)
