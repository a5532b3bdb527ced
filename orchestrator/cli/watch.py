"""`firstline watch`: follow a job that runs elsewhere."""

import typer

from firstline.orchestrator.cli._options import Job, Json

PANEL = "Jobs"


def watch(job: Job, as_json: Json = False) -> None:
    """Follow a job until it ends or pauses; Ctrl-C stops only the watching. With --json: a line per change."""
    from firstline.orchestrator import api
    from firstline.orchestrator.run.runner import View, follow

    if not as_json:
        follow(job, View())
        return
    last = None
    for status in api.watch(job):
        if status != last:
            typer.echo(status.model_dump_json())
        last = status
