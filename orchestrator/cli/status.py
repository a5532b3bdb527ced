"""`firstline status`: where a job stands."""

import typer

from orchestrator.cli._options import Job, Json

PANEL = "Jobs"


def status(job: Job, as_json: Json = False) -> None:
    """Show where a job stands."""
    from orchestrator import api
    from orchestrator.cli._show import show_json
    from orchestrator.progress import line

    now = api.status(job)
    if as_json:
        show_json(now)
        return
    typer.echo(f"{now.name} ({now.job}): {now.state.value}\n{line(now)}")
    if now.reason and now.reason not in line(now):
        typer.echo(now.reason)
