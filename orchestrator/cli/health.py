"""`firstline health`: whether a worker or an orchestrator takes messages."""

import json

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Processes"


def health(as_json: Json = False) -> None:
    """Say whether the worker or orchestrator of FIRSTLINE_PULSE_FILE takes messages; exit code 1 if it does not."""
    from firstline.config.queues.liveness import DEAF_AFTER_S, silent_s
    from firstline.config.settings import get_settings

    silent = silent_s(get_settings())
    if as_json:
        typer.echo(json.dumps({"healthy": silent is not None and silent <= DEAF_AFTER_S, "silent_s": silent}))
    if silent is None or silent > DEAF_AFTER_S:
        since = "yet" if silent is None else f"for {silent:.0f} s"
        typer.echo(f"no message came through {since}", err=True)
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"a message came through {silent:.0f} s ago")
