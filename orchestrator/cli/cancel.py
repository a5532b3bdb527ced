"""`firstline cancel`: an end for a job."""

import typer

from firstline.orchestrator.cli._options import Job, Json

PANEL = "Jobs"
NOTED = True


def cancel(job: Job, as_json: Json = False) -> None:
    """End a job; what has settled stays, running calls are stopped within seconds."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis, show_json, unchanged

    with reachable_redis():
        if not api.cancel(job):
            raise unchanged(job, "cancelled")
    if as_json:
        show_json(api.status(job))
        return
    typer.echo(f"{job} cancelled; what has settled is kept")
