"""`firstline audits`: what the top tier says of answers that were accepted without it."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Json

if TYPE_CHECKING:
    from firstline.orchestrator.quality.drift import Audit

PANEL = "Quality"
NOTED = ("run",)

app = typer.Typer(invoke_without_command=True, help="Show the live loss of accepted answers, skill by skill.")


@app.callback()
def audits(context: typer.Context, as_json: Json = False) -> None:
    """Show the live loss of accepted answers with its interval, skill by skill, and whether it drifted."""
    if context.invoked_subcommand is None:
        _show(as_json=as_json)


@app.command()
def run(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job that has ended.")],
    *,
    budget: Budget = None,
    as_json: Json = False,
) -> None:
    """Ask the top tier what was drawn of a job and is still open; where no workers run, they are started.

    Standing orchestrators do this by themselves, and so does `firstline run`.
    """
    from firstline.orchestrator.run.past_jobs import audit_again

    audit_again(job, budget_usd=budget, quiet=as_json)
    _show(as_json=as_json)


def _show(*, as_json: bool) -> None:
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.quality.audits import findings

    found = findings()
    if as_json:
        show_json(found)
    elif found:
        columns = ("skill", "model", "audited", "lost", "live loss", "95% interval", "borne", "state", "if it drifts")
        show_table(columns, map(_row, found), right=("audited", "lost", "live loss", "borne"))
        for one in found:
            for note in one.notes:
                typer.echo(f"{one.skill} v{one.skill_version}: {note}")
    else:
        typer.echo("no audits yet; set `audit_share` in a skill's policy, such as 0.05, and run a job")


def _row(one: "Audit") -> tuple[object, ...]:
    from firstline.orchestrator.reports.formatting import UNKNOWN, percent

    open_ = f" (+{one.pending} open)" if one.pending else ""
    interval = f"{percent(one.loss.low)} to {percent(one.loss.high)}" if one.claims else UNKNOWN
    return (
        f"{one.skill} v{one.skill_version}",
        one.model,
        f"{one.loss.audited}{open_}",
        one.loss.losses,
        percent(one.loss.estimate) if one.claims else UNKNOWN,
        interval,
        percent(one.max_loss),
        one.state_in_words,
        one.on_drift,
    )
