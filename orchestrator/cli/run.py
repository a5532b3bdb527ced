"""`firstline run`: a job from its items to its results and its report."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli._options import Budget, Goal, Input, Json, Limit, Out, ProfileName, Target

PANEL = "Run"


def run(
    target: Target = None,
    *,
    input_: Input = None,
    profile: ProfileName = None,
    out: Out = None,
    limit: Limit = None,
    budget: Budget = None,
    goal: Goal = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Keep the models' answers for replay.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="JOB", help="Go on with a job of an earlier run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a job to its end and show what it cost and how good it is.

    Without FIRSTLINE_REDIS_URL everything that it needs is started, and stopped at the end.
    """
    from orchestrator import runner
    from orchestrator.cli._show import finish
    from orchestrator.order import Wishes, read_order

    view = runner.View(out=out, quiet=as_json)
    if resume and target is None and goal is None:
        finished = runner.go_on(resume, runner.wake, view)
    else:
        order = read_order(target, Wishes(input_, profile, limit, budget, goal))
        finished = runner.run(order, view, record=record, resuming=resume)
    if finished:
        finish(finished, as_json=as_json, out=out)
    else:
        typer.echo(f"job {resume} goes on; watch it: firstline watch {resume}", err=True)
