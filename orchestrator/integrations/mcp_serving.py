"""`firstline mcp`: the MCP server on standard input and output, or over Streamable HTTP behind the API's tokens."""

import logging
import sys
from functools import partial

import anyio
import uvicorn
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from firstline.config.settings import get_settings
from firstline.config.telemetry.logs import configure
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.core.loopback import is_loopback
from firstline.orchestrator.integrations.mcp_tools import VISITOR, make_server
from firstline.orchestrator.web.access import Doors, Visitor, unknown
from firstline.orchestrator.web.problem import problem_response
from firstline.orchestrator.web.serving import listening
from firstline.schemas.access import Role
from firstline.schemas.errors import FirstlineError, UserError

_PATH = "/mcp"
_BEARER = "bearer "


def serve_stdio() -> None:
    """Serve whoever started this process, who may do everything, until they leave."""
    _quiet()
    make_server(local=Visitor("this machine", Role.ADMIN, "default")).run("stdio")


def serve_http(host: str, port: int) -> None:
    """Serve until stopped; other machines than this one only with tokens. UserError: there are none."""
    _quiet()
    settings = get_settings()
    if not is_loopback(host) and not tokens.exist(api.engine().db):
        raise UserError(f"no token is configured; `firstline token create` makes one, and then {host} can be served")
    with listening(host, port) as listener:
        app = http_app(Doors(settings, is_loopback(host)), host=host, body_mb=settings.api_max_body_mb)
        shown = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"Firstline serves MCP on http://{shown}:{listener.getsockname()[1]}{_PATH}\n")
        config = uvicorn.Config(app, log_config=None, log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def http_app(doors: Doors, *, host: str, body_mb: float) -> ASGIApp:
    """Return the server as an ASGI app; every request is a session of its own, so that any number may run."""
    server = make_server(local=None)
    return Gate(
        server.streamable_http_app(
            streamable_http_path=_PATH, stateless_http=True, host=host, max_request_body_size=int(body_mb * 1e6)
        ),
        doors,
    )


class Gate:
    """Lets in who has a token, and says who it is."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its visitor, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            visitor = await anyio.to_thread.run_sync(partial(self._doors.visitor, _secret(scope), Headers(scope=scope)))
            if visitor is None:
                raise unknown()
        except FirstlineError as error:
            await problem_response(Request(scope), error)(scope, receive, send)
            return
        await self._app({**scope, VISITOR: visitor}, receive, send)


def _secret(scope: Scope) -> str | None:
    said = Headers(scope=scope).get("authorization", "")
    return said[len(_BEARER) :].strip() if said.lower().startswith(_BEARER) else None


def _quiet() -> None:
    """Log to standard error, without a line per request."""
    configure(get_settings())
    logging.getLogger("mcp").setLevel(logging.WARNING)
