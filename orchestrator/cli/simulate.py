"""`firstline simulate`: an OpenAI-compatible server that plays a script."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Processes"


def simulate(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT.yaml", help="The script to play.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 0,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Append each paid call to this file (JSONL).")
    ] = None,
) -> None:
    """Serve an OpenAI-compatible API that replays answers and plays faults, to try workflows on."""
    from firstline.orchestrator.cli._process import become

    logging = ("--log", str(log)) if log else ()
    become("firstline.workers.simulator", str(script), "--port", str(port), *logging)
