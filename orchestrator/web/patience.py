"""Who is refused again and again is told so a second later: a flood of what is refused is slow."""

from http import HTTPStatus

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstline.orchestrator.web.rates import Rates

#: Refusals a minute that are told at once, as a share of the requests that one may make, and at least.
_SHARE, _LEAST = 0.1, 20.0
#: Seconds that further refusals wait, and how many wait at once: more are answered right away.
_WAIT_S, _WAITING = 1.0, 500


class Patience:
    """Keeps a refusal back for a second where a token, or an address without one, had too many in a minute."""

    def __init__(self, app: ASGIApp, *, requests_per_minute: float) -> None:
        self._app = app
        self._refusals = Rates(max(_LEAST, requests_per_minute * _SHARE))
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a refusal waits."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                await self._wait(scope)
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)

    async def _wait(self, scope: Scope) -> None:
        if not self._refusals.take(sender_of(scope)):
            return
        scope.setdefault("state", {})["is_kept_back"] = True
        if self._waiting < _WAITING:
            self._waiting += 1
            try:
                await anyio.sleep(_WAIT_S)
            finally:
                self._waiting -= 1


def sender_of(scope: Scope) -> str:
    """Return the id of the token that a request came with; where none is known, the address that it came from."""
    visitor = scope.get("state", {}).get("visitor")
    client = scope.get("client") or ("unknown",)
    return str((visitor and (visitor.token or visitor.name)) or client[0])
