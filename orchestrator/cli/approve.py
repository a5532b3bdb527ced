"""`firstline approve`: a yes to a planner's plan."""

import typer

from orchestrator.cli._options import Job, Json, Out

PANEL = "Jobs"


def approve(job: Job, out: Out = None, as_json: Json = False) -> None:
    """Say yes to a job's plan and have it run; `firstline plan JOB` shows the plan.

    Where no workers run, they are started as `firstline run` does.
    """
    from orchestrator import planning, runner
    from orchestrator.cli._show import finish

    finished = runner.go_on(job, planning.approve, runner.View(out=out, quiet=as_json))
    if finished:
        finish(finished, as_json=as_json, out=out)
    else:
        typer.echo(f"job {job} goes on; watch it: firstline watch {job}", err=True)
