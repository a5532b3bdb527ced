"""`firstline resume`: go on with a job that was paused or broken off."""

from firstline.orchestrator.cli._options import Job, Json, Out

PANEL = "Jobs"
NOTED = True


def resume(job: Job, out: Out = None, as_json: Json = False) -> None:
    """Go on with a job that was paused or broken off; nothing that was paid for is paid again.

    Where no workers run, they are started as `firstline run` does.
    """
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import runner

    finished = runner.go_on(job, runner.wake, runner.View(out=out, quiet=as_json))
    finish(finished, as_json=as_json, out=out, job=job)
