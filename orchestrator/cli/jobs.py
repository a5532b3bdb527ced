"""`firstline jobs`: the newest jobs."""

from typing import Annotated

import typer

from orchestrator.cli._options import Json

PANEL = "Jobs"


def jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest jobs."""
    from orchestrator import api
    from orchestrator.cli._show import show_json, show_table
    from orchestrator.figures import dollars

    found = api.jobs(limit=limit)
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("no jobs yet; `firstline run` starts one")
        return
    rows = [
        (one.job, one.name, one.state.value, f"{one.ended_items:,}/{one.items:,}", one.failed, dollars(one.cost_usd), f"{one.created_at.astimezone():%Y-%m-%d %H:%M}")
        for one in found
    ]
    columns = ("job", "name", "state", "items", "failed", "cost", "submitted")
    show_table(columns, rows, right=("items", "failed", "cost"))
