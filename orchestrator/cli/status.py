"""`firstline status`: where a job stands."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Job, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firstline.orchestrator.reports.decisions import Decision

PANEL = "Jobs"


def status(
    job: Job,
    decisions: Annotated[
        bool, typer.Option("--decisions", help="What was decided on the way, by whom and why.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show where a job stands, or what the planner, reviewers, the orchestrator model and people decided in it."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json
    from firstline.orchestrator.reports.progress import line

    if decisions:
        _show_decisions(api.decisions(job), as_json=as_json)
        return
    with reachable_redis():
        (now,) = api.explained([api.status(job)])
    if as_json:
        show_json(now)
        return
    typer.echo(f"{now.name} ({now.job}): {now.state_in_words}\n{line(now)}")
    for waits_for in now.waits_for or ([now.reason] if now.reason and now.reason not in line(now) else ()):
        typer.echo(f"waits: {waits_for}" if now.waits_for else waits_for)


def _show_decisions(found: "Sequence[Decision]", *, as_json: bool) -> None:
    from firstline.orchestrator.cli._show import show_json, show_table

    if as_json:
        show_json(found)
    elif found:
        columns = ("at (UTC)", "about", "item", "step", "decided", "by", "why")
        show_table(columns, map(_row, found))
    else:
        typer.echo(
            "nothing was decided but answer by answer; plans, checkpoints, referrals and people's words show here"
        )


def _row(one: "Decision") -> tuple[object, ...]:
    return f"{one.at:%Y-%m-%d %H:%M:%S}", one.kind, one.item_id, one.step, one.choice, one.by, one.reason
