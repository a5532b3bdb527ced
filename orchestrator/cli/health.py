"""`firstline health`: whether a worker or an orchestrator takes messages."""

import typer

PANEL = "Processes"


def health() -> None:
    """Say whether the worker or orchestrator of FIRSTLINE_PULSE_FILE takes messages; exit code 1 if it does not."""
    from firstline.config.queues.liveness import DEAF_AFTER_S, silent_s
    from firstline.config.settings import get_settings

    silent = silent_s(get_settings())
    if silent is None or silent > DEAF_AFTER_S:
        since = "yet" if silent is None else f"for {silent:.0f} s"
        typer.echo(f"no message came through {since}", err=True)
        raise typer.Exit(1)
    typer.echo(f"a message came through {silent:.0f} s ago")
