"""`firstline cancel`: an end for a job."""

import typer

from firstline.orchestrator.cli._options import Job

PANEL = "Jobs"


def cancel(job: Job) -> None:
    """End a job; what has settled stays, running calls are stopped within seconds."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis

    with reachable_redis():
        api.cancel(job)
    typer.echo(f"{job} cancelled; what has settled is kept")
