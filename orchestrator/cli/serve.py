"""`firstline serve`: the HTTP API and the web pages."""

from typing import Annotated

import typer

PANEL = "Processes"


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on, once there is a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP API and the web pages until stopped; without a token, to this machine only."""
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.orchestrator.web.serving import serve_until_stopped

    with reachable_redis():
        serve_until_stopped(host, port)
