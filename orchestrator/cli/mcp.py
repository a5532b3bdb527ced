"""`firstline mcp`: jobs as tools of an MCP client."""

from typing import Annotated

import typer

PANEL = "Processes"


def mcp(
    http: Annotated[bool, typer.Option("--http", help="Serve Streamable HTTP instead of standard input.")] = False,
    host: Annotated[str, typer.Option("--host", help="With --http: address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="With --http: port; 0 takes any.")] = 8081,
) -> None:
    """Offer jobs as tools (submit, status, results, report, cancel) to an MCP client such as an agent or an editor."""
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.schemas.errors import UserError

    try:
        from firstline.orchestrator.integrations.mcp_serving import serve_http, serve_stdio
    except ModuleNotFoundError as error:
        if error.name not in ("mcp", "mcp_types"):
            raise
        raise UserError('the MCP server needs the extra "mcp": pip install "firstline[mcp]"') from None
    with reachable_redis():
        if http:
            serve_http(host, port)
        else:
            serve_stdio()
