"""Logging a browser in: with a token, or through an identity provider."""

import base64
import hashlib
import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from redis.exceptions import RedisError

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core import audit_log, sessions
from firstline.orchestrator.core.identity_provider import IdentityProvider, LoginRefused
from firstline.orchestrator.core.sessions import BrowserSession
from firstline.orchestrator.web.access import COOKIE, Visitor, doors_of
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.session import FormViewer, go, is_secure, set_cookie
from firstline.orchestrator.web.templating import render
from firstline.schemas.errors import InfrastructureError

router = APIRouter()

_To = Annotated[str, Query(max_length=2000)]
#: The cookie of a browser that is at its identity provider, the pages that see it, and the seconds that it is kept.
_AWAY, _PATH, _AWAY_S = "firstline_login", "/login/provider", 600


@router.get("/login")
def show_login(request: Request, to: _To = "/") -> Response:
    """Show the form."""
    return _form(request, to)


@router.post("/login")
def log_in(request: Request, token: Annotated[str, Form(max_length=200)], to: _To = "/") -> Response:
    """Log in with a token.

    The form has no guard: a cookie of another's choosing gains them nothing, and other sites' forms are refused.
    """
    visitor = doors_of(request).visitor(token.strip(), request.headers)
    if visitor is None:
        return _form(request, to, status=HTTPStatus.UNAUTHORIZED, wrong=True)
    request.state.visitor = visitor
    answer = go(_own_path(to))
    if visitor.token is not None:
        own = BrowserSession(name=visitor.name, role=visitor.role, tenant=visitor.tenant, token=visitor.token)
        set_cookie(request, answer, sessions.begin(api.engine().db, own))
    return answer


@router.get(_PATH)
def leave_for_provider(request: Request, to: _To = "/") -> Response:
    """Send the browser to the identity provider, with a secret of its own to come back with."""
    provider = _provider(request)
    secret = secrets.token_urlsafe(32)
    answer = RedirectResponse(provider.way_in(secret, redirect_uri=_way_back(request)), HTTPStatus.SEE_OTHER)
    kept = f"{secret}.{base64.urlsafe_b64encode(_own_path(to).encode()).decode().rstrip('=')}"
    # Lax, as it is another site that sends the browser back.
    answer.set_cookie(
        _AWAY, kept, max_age=_AWAY_S, path=_PATH, httponly=True, samesite="lax", secure=is_secure(request)
    )
    return answer


@router.get(f"{_PATH}/back")
def come_back(request: Request) -> Response:
    """Log in whom the identity provider names; one log-in comes back once."""
    provider = _provider(request)
    secret, _, kept = request.cookies.get(_AWAY, "").partition(".")
    who, visitor = "", None
    try:
        _spend(secret)
        found = provider.finish(secret, request.query_params, redirect_uri=_way_back(request))
        who, visitor = found.name, Visitor(found.name, found.role, found.tenant)
        cookie = sessions.begin(api.engine().db, found, kept_s=provider.login.hours * 3600)
        # A page, not a redirect: a browser that comes from another site does not show a strict cookie.
        answer: Response = render(request, "logged_in.html", to=_own_path(_decoded(kept)))
        set_cookie(request, answer, cookie)
    except LoginRefused as refusal:
        answer = _form(request, _own_path(_decoded(kept)), status=HTTPStatus.UNAUTHORIZED, refused=str(refusal))
    answer.delete_cookie(_AWAY, path=_PATH)
    audit_log.note(
        api.engine().db,
        action=f"GET {_PATH}/back",
        target=provider.login.issuer,
        source=str(request.client.host if request.client else "unknown"),
        who=who,
        role=visitor.role.value if visitor else None,
        tenant=visitor.tenant if visitor else None,
        status=answer.status_code,
    )
    return answer


@router.post("/logout")
def log_out(request: Request, visitor: FormViewer) -> Response:
    """Log out: the session ends, whoever holds its cookie."""
    sessions.end(api.engine().db, request.cookies.get(COOKIE, ""))
    answer = go("/login")
    answer.delete_cookie(COOKIE)
    return answer


def _form(request: Request, to: str, *, status: int = 200, wrong: bool = False, refused: str = "") -> Response:
    provider = doors_of(request).provider
    label = provider.login.label if provider else ""
    return render(request, "login.html", status=status, to=to, wrong=wrong, refused=refused, provider=label)


def _provider(request: Request) -> IdentityProvider:
    provider = doors_of(request).provider
    if provider is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "people log in with tokens here: no identity provider is set up")
    return provider


def _way_back(request: Request) -> str:
    scheme = "https" if is_secure(request) else "http"
    base = get_settings().web_url or f"{scheme}://{request.url.netloc}"
    return f"{base.rstrip('/')}{_PATH}/back"


def _spend(secret: str) -> None:
    """Note that a log-in came back; LoginRefused: it has before, or never began."""
    if not secret:
        raise LoginRefused("this log-in was begun in another browser, or too long ago; begin again")
    engine = api.engine()
    key = engine.settings.keys.log_in(hashlib.sha256(secret.encode()).hexdigest())
    try:
        is_first = engine.redis.set(key, "1", nx=True, ex=2 * _AWAY_S)
    except RedisError as error:
        raise InfrastructureError(f"Redis cannot be asked whether this log-in is new: {error}") from None
    if not is_first:
        raise LoginRefused("this log-in has come back once already; begin again")


def _decoded(kept: str) -> str:
    try:
        return base64.urlsafe_b64decode(f"{kept}{'=' * (-len(kept) % 4)}").decode()
    except ValueError:
        return "/"


def _own_path(to: str) -> str:
    """Return where to go, which is a page of ours: never another site."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) else "/"
