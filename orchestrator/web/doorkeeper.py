"""Who sends something is known, and within their pace, before a byte of it is read."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from firstline.orchestrator.web.access import COOKIE, SAFE, Visitor, doors_of, let_in, unknown
from firstline.orchestrator.web.problem import FOR_PROGRAMS, Refusal
from firstline.orchestrator.web.session import NotLoggedIn
from firstline.orchestrator.web.size import UPLOADS
from firstline.schemas.access import Role
from firstline.schemas.errors import FirstlineError

#: Where one who has no session yet sends a form, and how large that may be.
_LOGIN, _LOGIN_BYTES = "/login", 10_000

Answer = Callable[[Request, FirstlineError], Response]


class Doorkeeper:
    """Refuses what strangers send, what comes too fast, and uploads of who may not submit, with their bodies unread.

    Two uploads of a tenant are read at once; further ones stay on the wire meanwhile.
    """

    def __init__(self, app: ASGIApp, *, refused: Answer) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in SAFE:
            request = Request(scope)
            try:
                await anyio.to_thread.run_sync(partial(_admit, request))
            except FirstlineError as error:
                await self._refused(request, error)(scope, receive, send)
                return
            if request.url.path in UPLOADS:
                async with doors_of(request).uploads.held(request.state.visitor.tenant):
                    await self._app(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _admit(request: Request) -> None:
    path = request.url.path
    if path == _LOGIN:
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LOGIN_BYTES:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "expected a form with a token, and its length")
        return
    visitor = _sender(request, path)
    request.state.visitor = visitor
    request.state.is_paced = True
    if path in UPLOADS:
        visitor.require(Role.SUBMITTER)


def _sender(request: Request, path: str) -> Visitor:
    if path.startswith(FOR_PROGRAMS):
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        visitor = let_in(request, secret.strip() if scheme.lower() == "bearer" else None)
        if visitor is None:
            raise unknown()
        return visitor
    visitor = doors_of(request).guest(request.cookies.get(COOKIE), request.headers)
    if visitor is None:
        raise NotLoggedIn(path)
    return visitor
