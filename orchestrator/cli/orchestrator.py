"""`firstline orchestrator`: a process that steers jobs."""

import typer

PANEL = "Processes"
CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def orchestrator(context: typer.Context) -> None:
    """Steer jobs until stopped; needs FIRSTLINE_REDIS_URL. Several may run."""
    from firstline.orchestrator.cli._process import become

    become("firstline.orchestrator.service.process", *context.args)
