"""`firstline plan`: what a goal, a workflow or a job will do, and what that will cost."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Goal, IdField, Input, Json, Limit, Map, Out, ProfileName

PANEL = "Run"


def plan(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[GOAL_WORKFLOW_OR_JOB]", help="A goal in plain words, a workflow or job file, or a job's id."
        ),
    ] = None,
    *,
    goal: Goal = None,
    input_: Input = None,
    map_: Map = None,
    id_field: IdField = None,
    profile: ProfileName = None,
    limit: Limit = None,
    budget: Budget = None,
    approve: Annotated[bool, typer.Option("--approve", help="Ask for a yes and run the plan after it.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the plan as a workflow file.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show a plan as a table and a Mermaid chart, with its estimated cost, before anything else is spent.

    For a goal the planner model writes the plan, as a job that then waits: `firstline approve JOB` runs it.
    """
    from firstline.orchestrator.cli._plan import is_job, show_plan, tell_it_waits, yes_to
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import plan_approval
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    if goal is None and target is not None and any(map(str.isspace, target)):
        goal, target = target, None
    finished = None
    if goal is not None or target is None:
        order = read_order(
            target, Wishes(input_, profile, limit, budget, goal, id_field=id_field, map=parse_mapping(map_))
        )
        planned, finished = plan_approval.run_with_yes(
            order, View(out=out, quiet=as_json), yes_to(asking=approve, as_json=as_json)
        )
    elif is_job(target):
        planned = plan_approval.of_job(target)
        show_plan(planned, as_json=as_json)
    else:
        planned = plan_approval.of_order(
            read_order(
                target, Wishes(input_, profile, limit, budget, preview=True, id_field=id_field, map=parse_mapping(map_))
            )
        )
        show_plan(planned, as_json=as_json)
    if save is not None:
        plan_approval.save(planned, save)
        typer.echo(f"saved: {save}; run it: firstline run {save} --input FILE", err=True)
    if finished:
        finish(finished, as_json=as_json, out=out)
    elif goal is not None:
        tell_it_waits(planned.view.job)
