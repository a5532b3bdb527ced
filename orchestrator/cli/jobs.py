"""`firstline jobs`: the newest jobs."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.schemas.job import JobStatus

PANEL = "Jobs"


def jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """List the newest jobs."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json, show_table

    with reachable_redis():
        found = api.explained(api.jobs(limit))
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("no jobs yet; `firstline run` starts one")
        return
    columns = ("job", "name", "state", "items", "failed", "cost", "submitted", "waits for")
    show_table(columns, map(_row, found), right=("items", "failed", "cost"))


def _row(status: "JobStatus") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import dollars

    ended = f"{status.ended_items:,}/{status.items:,}"
    at = f"{status.created_at.astimezone():%Y-%m-%d %H:%M}"
    return (
        status.job,
        status.name,
        status.state_in_words,
        ended,
        status.failed,
        dollars(status.cost_usd),
        at,
        " / ".join(status.waits_for),
    )
