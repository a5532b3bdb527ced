"""Logging a browser in with a token."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response

from firstline.orchestrator import api
from firstline.orchestrator.core import sessions
from firstline.orchestrator.core.sessions import BrowserSession
from firstline.orchestrator.web.access import COOKIE, doors_of
from firstline.orchestrator.web.session import FormViewer, go, set_cookie
from firstline.orchestrator.web.templating import render

router = APIRouter()

_To = Annotated[str, Query(max_length=2000)]


@router.get("/login")
def show_login(request: Request, to: _To = "/") -> Response:
    """Show the form."""
    return render(request, "login.html", to=to, wrong=False)


@router.post("/login")
def log_in(request: Request, token: Annotated[str, Form(max_length=200)], to: _To = "/") -> Response:
    """Log in with a token.

    The form has no guard: a cookie of another's choosing gains them nothing, and other sites' forms are refused.
    """
    visitor = doors_of(request).visitor(token.strip(), request.headers)
    if visitor is None:
        return render(request, "login.html", status=HTTPStatus.UNAUTHORIZED, to=to, wrong=True)
    request.state.visitor = visitor
    answer = go(_own_path(to))
    if visitor.token is not None:
        own = BrowserSession(name=visitor.name, role=visitor.role, tenant=visitor.tenant, token=visitor.token)
        set_cookie(request, answer, sessions.begin(api.engine().db, own))
    return answer


@router.post("/logout")
def log_out(request: Request, visitor: FormViewer) -> Response:
    """Log out: the session ends, whoever holds its cookie."""
    sessions.end(api.engine().db, request.cookies.get(COOKIE, ""))
    answer = go("/login")
    answer.delete_cookie(COOKIE)
    return answer


def _own_path(to: str) -> str:
    """Return where to go, which is a page of ours: never another site."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
