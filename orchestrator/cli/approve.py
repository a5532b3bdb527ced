"""`firstline approve`: a yes to a planner's plan."""

from firstline.orchestrator.cli._options import Job, Json, Out

PANEL = "Jobs"
NOTED = True


def approve(job: Job, out: Out = None, as_json: Json = False) -> None:
    """Say yes to a job's plan and have it run; `firstline plan JOB` shows the plan.

    Where no workers run, they are started as `firstline run` does.
    """
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import plan_approval, runner

    finished = runner.go_on(job, plan_approval.approve, runner.View(out=out, quiet=as_json))
    finish(finished, as_json=as_json, out=out, job=job)
