"""`firstline pause`: a rest for a job."""

import typer

from firstline.orchestrator.cli._options import Job

PANEL = "Jobs"


def pause(job: Job) -> None:
    """Stop sending a job's work; what is under way comes in and is kept."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis

    with reachable_redis():
        api.pause(job)
    typer.echo(f"{job} paused; go on: firstline resume {job}")
