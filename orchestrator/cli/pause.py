"""`firstline pause`: a rest for a job."""

import typer

from firstline.orchestrator.cli._options import Job, Json

PANEL = "Jobs"
NOTED = True


def pause(job: Job, as_json: Json = False) -> None:
    """Stop sending a job's work; what is under way comes in and is kept."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json, unchanged

    with reachable_redis():
        if not api.pause(job):
            raise unchanged(job, "paused")
    if as_json:
        show_json(api.status(job))
        return
    typer.echo(f"{job} paused; go on: firstline resume {job}")
