"""`firstline flower`: Flower on this deployment's Celery app."""

from typing import Annotated

import typer

PANEL = "Processes"


def flower(
    address: Annotated[str, typer.Option("--address", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port to listen on.")] = 5555,
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything, change nothing.")] = False,
    auth: Annotated[
        str | None,
        typer.Option("--auth", metavar="USER:PASSWORD", envvar="FLOWER_BASIC_AUTH", help="Who may look."),
    ] = None,
) -> None:
    """Show workers and messages in Flower until stopped; other machines see it only with a password."""
    import os

    from firstline.orchestrator.cli._process import become
    from firstline.schemas.errors import UserError

    if auth is not None:
        if not all(auth.partition(":")):
            raise UserError("--auth: expected USER:PASSWORD")
        # Flower reads it there; no list of processes shows it.
        os.environ["FLOWER_BASIC_AUTH"] = auth
    become(
        "firstline.orchestrator.monitoring.flower",
        f"--address={address}",
        f"--port={port}",
        *(("--read-only",) if read_only else ()),
    )
