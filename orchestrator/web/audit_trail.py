"""What is sent to the API and the pages, other than to look, is written into the audit log."""

from functools import partial

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log
from firstline.orchestrator.web.access import SAFE, Visitor


class AuditTrail:
    """Writes down each request that may change something: who sent it, from where, and what came of it.

    Refusals that are kept back, because there were so many of them, are not: nobody fills the log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write it down when it is answered."""
        if scope["type"] != "http" or scope["method"] in SAFE:
            await self._app(scope, receive, send)
            return
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if not scope.get("state", {}).get("is_kept_back"):
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(partial(_note, scope, status))


def _note(scope: Scope, status: int) -> None:
    visitor: Visitor | None = scope.get("state", {}).get("visitor")
    client = scope.get("client") or ("unknown",)
    audit_log.note(
        api.engine().db,
        action=f"{scope['method']} {getattr(scope.get('route'), 'path', 'unknown')}",
        target=scope["path"],
        source=str(client[0]),
        who=visitor.name if visitor else "",
        token=visitor.token if visitor else None,
        role=visitor.role.value if visitor else None,
        tenant=visitor.tenant if visitor else None,
        status=status,
    )
