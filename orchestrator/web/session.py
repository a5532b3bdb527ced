"""The browser's visit: a cookie that stands for a session, and a guard for every form."""

import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from firstline.orchestrator.core.sessions import KEPT_S
from firstline.orchestrator.web.access import COOKIE, Visitor, doors_of, find_job, form_guard, is_paced, new_cookie
from firstline.orchestrator.web.parameters import JobId
from firstline.orchestrator.web.problem import Refusal
from firstline.schemas.access import Role
from firstline.schemas.errors import FirstlineError


class NotLoggedIn(FirstlineError):
    """The browser is to log in first."""

    def __init__(self, wanted: str) -> None:
        super().__init__("log in first")
        self.wanted = wanted

    def redirect(self) -> Response:
        """Return the way to the login page, and back."""
        return RedirectResponse(f"/login?to={quote(self.wanted)}", HTTPStatus.SEE_OTHER)


def visiting(request: Request) -> Visitor:
    """Return who looks at a page, and note it for the template."""
    cookie = request.cookies.get(COOKIE)
    visitor = doors_of(request).guest(cookie, request.headers, paced=not is_paced(request))
    if visitor is None:
        raise NotLoggedIn(f"{request.url.path}{'?' + request.url.query if request.url.query else ''}")
    if cookie is None:
        cookie = new_cookie()
        request.state.new_cookie = cookie
    request.state.visitor = visitor
    request.state.guard = form_guard(cookie)
    request.state.open_house = doors_of(request).are_open(request.headers)
    return visitor


Visit = Annotated[Visitor, Depends(visiting)]


def administering(visitor: Visit) -> Visitor:
    """Return who looks at a page of the whole deployment."""
    visitor.require(Role.ADMIN)
    return visitor


VisitAdmin = Annotated[Visitor, Depends(administering)]


def seen_page_job(job: JobId, visitor: Visit) -> str:
    """Return the job's id where the visitor may see it."""
    return find_job(job, visitor)


PageJob = Annotated[str, Depends(seen_page_job)]


def _guarded(role: Role) -> Callable[..., Visitor]:
    def visitor(request: Request, visit: Visit, guard: Annotated[str, Form()] = "") -> Visitor:
        if not hmac.compare_digest(guard.encode(), request.state.guard.encode()):
            raise Refusal(HTTPStatus.FORBIDDEN, "the form is too old or not ours; open its page again and resend it")
        visit.require(role)
        return visit

    return visitor


FormSubmitter = Annotated[Visitor, Depends(_guarded(Role.SUBMITTER))]
FormOperator = Annotated[Visitor, Depends(_guarded(Role.OPERATOR))]
FormAdmin = Annotated[Visitor, Depends(_guarded(Role.ADMIN))]
FormViewer = Annotated[Visitor, Depends(_guarded(Role.VIEWER))]


async def _filled(request: Request) -> dict[str, str]:
    # Browsers end lines as DOS did; files of ours do not.
    fields = (await request.form()).items()
    return {name: value.replace("\r\n", "\n") for name, value in fields if isinstance(value, str)}


#: Every text field of a form, for forms whose fields are not known beforehand.
Filled = Annotated[dict[str, str], Depends(_filled)]


def set_cookie(request: Request, response: Response, cookie: str) -> None:
    """Give the browser its cookie: out of reach of scripts and of other sites."""
    secure = is_secure(request)
    response.set_cookie(COOKIE, cookie, max_age=int(KEPT_S), httponly=True, samesite="strict", secure=secure)


def is_secure(request: Request) -> bool:
    """Return whether a browser asks over TLS, which a proxy in front may have ended."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def go(to: str) -> Response:
    """Send a browser elsewhere after a form."""
    return RedirectResponse(to, HTTPStatus.SEE_OTHER)
