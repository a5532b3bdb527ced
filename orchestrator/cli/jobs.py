"""`firstline jobs`: the newest jobs."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.schemas.job import JobState, JobStatus

PANEL = "Jobs"


def jobs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "-s", metavar="STATE", help="Only in this state; may be given again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the newest jobs."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json, show_table

    with reachable_redis():
        found = api.explained(api.jobs(limit, states=[_state(one) for one in state or ()]))
    if as_json:
        show_json(found)
        return
    if not found:
        typer.echo("no jobs in that state" if state else "no jobs yet; `firstline run` starts one")
        return
    columns = ("job", "name", "state", "items", "failed", "cost", "submitted", "waits for")
    show_table(columns, map(_row, found), right=("items", "failed", "cost"))


def _state(name: str) -> "JobState":
    from firstline.config.errors.error_messages import unknown
    from firstline.schemas.errors import UserError
    from firstline.schemas.job import JobState

    if name not in list(JobState):
        raise UserError(unknown("state", name, list(JobState)))
    return JobState(name)


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
