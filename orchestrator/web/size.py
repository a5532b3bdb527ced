"""How large a request may be, and all uploads together."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstline.orchestrator.web.problem import Refusal, problem_response

_FORMS = ("/submit", "/calibrate", "/tune")
UPLOADS = ("/v1/jobs/upload", *_FORMS, *(f"{form}/preview" for form in _FORMS))

_FULL = "uploads under way take all the room that there is for them (FIRSTLINE_API_MAX_SPOOL_MB); try again soon"


class SizeLimit:
    """Refuses a body that is too large, by its announced length or as soon as that much has come."""

    def __init__(self, app: ASGIApp, *, body_mb: float, upload_mb: float, spool_mb: float) -> None:
        self._app = app
        self._body_mb = body_mb
        self._upload_mb = upload_mb
        self._spool_bytes = spool_mb * 1e6
        #: Bytes of the uploads under way.
        self._spooled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = scope["path"] in UPLOADS
        most_mb = self._upload_mb if is_upload else self._body_mb
        said = f"the request is larger than {most_mb:g} MB; send fewer items, or upload them as a file"
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > most_mb * 1e6:
            refusal = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
            await problem_response(Request(scope), refusal)(scope, receive, send)
            return
        come = 0

        async def counted() -> Message:
            nonlocal come
            message = await receive()
            size = len(message.get("body", b""))
            come += size
            if come > most_mb * 1e6:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
            if is_upload:
                self._spooled += size
                if self._spooled > self._spool_bytes:
                    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, _FULL, {"retry-after": "30"})
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._spooled -= come if is_upload else 0
