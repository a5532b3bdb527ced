"""`firstline run`: a job from its items to its results and its report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import (
    Budget,
    FailOver,
    Goal,
    IdField,
    Input,
    Json,
    Limit,
    Map,
    Out,
    ProfileName,
    Raw,
    Record,
    Shape,
    Sql,
    Target,
)

if TYPE_CHECKING:
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.run_request import Order

PANEL = "Run"


def run(
    target: Target = None,
    *,
    input_: Input = None,
    sql: Sql = None,
    map_: Map = None,
    id_field: IdField = None,
    profile: ProfileName = None,
    out: Out = None,
    shape: Shape = None,
    raw: Raw = False,
    limit: Limit = None,
    budget: Budget = None,
    goal: Goal = None,
    approve: Annotated[bool, typer.Option("--approve", help="Show a goal's plan and wait for a yes.")] = False,
    record: Record = None,
    fail_over: FailOver = "100%",
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="JOB", help="Go on with a job of an earlier run.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Run it although it is expected to cost more than the top tier alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a job to its end and show what it cost and how good it is.

    Without FIRSTLINE_REDIS_URL everything that it needs is started, and stopped at the end.
    """
    from firstline.orchestrator.cli._options import parse_share
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.results.outlet import Form
    from firstline.orchestrator.results.outlet import Shape as Shapes
    from firstline.orchestrator.results.results_file import CsvStyle
    from firstline.orchestrator.run import runner
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    form = Form(Shapes(shape) if shape else None, style=CsvStyle(raw))
    view, borne = runner.View(out=out, quiet=as_json, form=form), parse_share(fail_over)
    if resume and target is None and goal is None:
        finished = runner.go_on(resume, runner.wake, view)
    else:
        order = read_order(
            target,
            Wishes(
                input_,
                profile,
                limit,
                budget,
                goal,
                approve=approve,
                id_field=id_field,
                map=parse_mapping(map_),
                sql=sql,
            ),
        )
        if order.waits_for_a_yes and resume is None:
            _run_with_yes(order, view, record, as_json=as_json, fail_over=borne)
            return
        asks = not (yes or as_json)
        finished = runner.run(order, view, record=record, resuming=resume, yes=lambda doubt: _wanted(doubt, asks=asks))
    finish(finished, as_json=as_json, out=out, job=resume, fail_over=borne)


def _wanted(doubt: str, *, asks: bool) -> bool:
    """Ask somebody who sits at a terminal; tell anybody else, and go on."""
    if asks and sys.stdin.isatty() and sys.stderr.isatty():
        return typer.confirm(f"{doubt}. Run it all the same?", err=True)
    typer.echo(doubt, err=True)
    return True


def _run_with_yes(order: "Order", view: "View", record: Path | None, *, as_json: bool, fail_over: float) -> None:
    from firstline.orchestrator.cli._plan import tell_it_waits, yes_to
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import plan_approval

    planned, finished = plan_approval.run_with_yes(order, view, yes_to(asking=True, as_json=as_json), record=record)
    if finished is None:
        tell_it_waits(planned.view.job)
        raise typer.Exit(1)
    finish(finished, as_json=as_json, out=view.out, fail_over=fail_over)
