"""Who is asking, and whether they may: bearer tokens, the browser's cookie, and the open house on loopback."""

import hashlib
import hmac
import math
import secrets
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from firstline.config.catalogue.login_file import load_login
from firstline.config.settings import Settings
from firstline.orchestrator import api
from firstline.orchestrator.core import sessions, tokens
from firstline.orchestrator.core.identity_provider import IdentityProvider
from firstline.orchestrator.store import views
from firstline.orchestrator.web.parameters import JobId
from firstline.orchestrator.web.places import Places
from firstline.orchestrator.web.problem import Refusal
from firstline.orchestrator.web.rates import OpenStream, Rates, Streams
from firstline.schemas.access import Role

T = TypeVar("T")

COOKIE = "firstline"
#: Requests of one tenant that change something and are worked on at once in this process.
_PLACES = 2
#: Seconds that the answer to "is there any token?" is kept.
_KNOWN_S = 1.0
#: Seconds between two looks at whether who reads a stream may go on.
ASKED_AGAIN_S = 5.0
#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Headers that proxies add: who asks is not on this machine.
_OF_PROXIES = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_bearer = HTTPBearer(auto_error=False, description="A token made by `firstline token create`.")


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    name: str
    role: Role
    #: Whose jobs they see and submit; an administrator sees all.
    tenant: str
    #: Id of the token that let them in; None: they came otherwise.
    token: str | None = None

    @property
    def sees(self) -> str | None:
        """The one tenant whose jobs they see; None: all."""
        return None if self.role is Role.ADMIN else self.tenant

    def require(self, role: Role) -> None:
        """Refuse what takes a higher role."""
        if not self.role.covers(role):
            raise Refusal(HTTPStatus.FORBIDDEN, f"this takes the role {role.value}; the token has {self.role.value}")


_NEIGHBOUR = Visitor("this machine", Role.ADMIN, "default")


@dataclass
class Doors:
    """Decides who comes in."""

    settings: Settings
    #: Without any token, let everyone in: only where nobody but this machine's users can knock.
    loopback: bool
    rates: Rates = field(init=False)
    streams: Streams = field(init=False)
    #: Chats that are waited for.
    waits: Streams = field(init=False)
    #: Who else than tokens says who somebody is.
    provider: IdentityProvider | None = field(init=False)
    places: Places = field(default_factory=lambda: Places(_PLACES))
    #: For requests with large bodies: those of others who wait are not read, and take no memory.
    large: Places = field(default_factory=lambda: Places(_PLACES))
    #: For uploads: those of others who wait are not read, and take no disk.
    uploads: Places = field(default_factory=lambda: Places(_PLACES))
    _any_token: tuple[bool, float] = (False, -math.inf)

    def __post_init__(self) -> None:
        self.rates = Rates(self.settings.api_requests_per_minute)
        self.streams = Streams(self.settings.api_streams)
        self.waits = Streams(self.settings.api_waits)
        file = self.settings.login_file
        self.provider = IdentityProvider(load_login(file)) if file is not None else None

    def are_open(self, headers: Mapping[str, str]) -> bool:
        """Return whether everyone on this machine is let in: nobody can log in, and no proxy stands in front.

        The first token closes the door for good. Through a proxy the whole world may come from this machine.
        """
        if not self.loopback or self.provider is not None or any(name in headers for name in _OF_PROXIES):
            return False
        known, at_s = self._any_token
        if not known and time.monotonic() - at_s > _KNOWN_S:
            known = tokens.exist(api.engine().db)
            self._any_token = (known, time.monotonic())
        return not known

    def visitor(self, secret: str | None, headers: Mapping[str, str], *, paced: bool = True) -> Visitor | None:
        """Return whose token this is; None where nobody is let in with it. Refused: too many requests."""
        token = tokens.recognise(api.engine().db, secret) if secret else None
        if token is None:
            return _NEIGHBOUR if self.are_open(headers) else None
        if paced:
            self._pace(token.id)
        return Visitor(token.name, token.role, token.tenant, token.id)

    def guest(self, cookie: str | None, headers: Mapping[str, str], *, paced: bool = True) -> Visitor | None:
        """Return whose browser this is; a cookie is no token, and a token no cookie."""
        session = sessions.recognise(api.engine().db, cookie) if cookie else None
        if session is None:
            return _NEIGHBOUR if self.are_open(headers) else None
        if paced:
            self._pace(session.token or session.name)
        return Visitor(session.name, session.role, session.tenant, session.token)

    def _pace(self, name: str) -> None:
        wait_s = math.ceil(self.rates.take(name))
        if wait_s:
            detail = f"more than {self.settings.api_requests_per_minute:g} requests a minute; wait {wait_s} s"
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"retry-after": str(wait_s)})


def counted(request: Request, begin: Callable[[OpenStream], T]) -> T:
    """Return a stream that counts among those of its token until it is closed; refused: it has too many."""
    doors = doors_of(request)
    mine = _opened(request, doors.streams, f"{doors.settings.api_streams} streams open already; close one")
    stream = begin(mine)
    # Whoever has gone before the first line never begins to read: its end would never be reached.
    weakref.finalize(stream, mine.close)
    return stream


def _opened(request: Request, streams: Streams, too_many: str) -> OpenStream:
    visitor = request.state.visitor
    mine = streams.open(visitor.token or visitor.name)
    if mine is None:
        detail = f"this token has {too_many}, or wait until it ends"
        raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, detail, headers={"retry-after": "5"})
    return mine


def waits(request: Request) -> OpenStream:
    """Count a chat among those that its token waits for, until it is closed; refused: it waits for too many."""
    doors = doors_of(request)
    return _opened(request, doors.waits, f"{doors.settings.api_waits} chats under way already; break one off")


def parts_while_in(request: Request, found: AsyncGenerator[str, None], mine: OpenStream) -> AsyncGenerator[str, None]:
    """Return the parts of an answer for as long as who asked for it may have them."""

    async def parts() -> AsyncGenerator[str, None]:
        asked_at = time.monotonic()
        with closing(mine):
            async with aclosing(found):
                async for part in found:
                    if time.monotonic() - asked_at > ASKED_AGAIN_S:
                        if not await anyio.to_thread.run_sync(still_in, request):
                            return
                        asked_at = time.monotonic()
                    yield part

    stream = parts()
    weakref.finalize(stream, mine.close)
    return stream


def lines_while_in(request: Request, found: Iterable[str]) -> Iterator[str]:
    """Return lines for as long as who asked for them may have them; they count among the streams of its token."""

    def begin(mine: OpenStream) -> Iterator[str]:
        asked_at = time.monotonic()
        with closing(mine):
            for line in found:
                if time.monotonic() - asked_at > ASKED_AGAIN_S:
                    if not still_in(request):
                        return
                    asked_at = time.monotonic()
                yield line

    return counted(request, begin)


def doors_of(request: Request) -> Doors:
    """Return the doors of the app that a request came to."""
    doors = request.app.state.doors
    assert isinstance(doors, Doors)
    return doors


def _asking(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
) -> Visitor:
    """Return who asks; a browser's cookie is good for looking only, as forms have a guard of their own."""
    if "authorization" in request.headers and bearer is None:
        raise unknown()
    visitor = let_in(request, bearer.credentials if bearer else None, paced=not is_paced(request))
    if visitor is None:
        raise unknown()
    request.state.visitor = visitor
    return visitor


def let_in(request: Request, secret: str | None, *, paced: bool = True) -> Visitor | None:
    """Return who asks the API with this token, or looks at it with a browser's cookie; None: nobody known."""
    doors, cookie = doors_of(request), request.cookies.get(COOKIE)
    if secret is None and cookie is not None and request.method in SAFE:
        return doors.guest(cookie, request.headers, paced=paced)
    return doors.visitor(secret, request.headers, paced=paced)


def is_paced(request: Request) -> bool:
    """Return whether this request was counted when it came to the door."""
    return getattr(request.state, "is_paced", False)


@asynccontextmanager
async def turn_of(request: Request) -> AsyncIterator[None]:
    """Hold one of the places of who asks for the length of the block, where a request may change something."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    if request.method in SAFE or visitor is None:
        yield
        return
    async with doors_of(request).places.held(visitor.tenant):
        yield


async def in_turn(request: Request) -> AsyncIterator[None]:
    """Have a route wait until it is this tenant's turn; the request's body has come by then."""
    async with turn_of(request):
        yield


def still_in(request: Request) -> bool:
    """Return whether who asked may go on: a stream ends with its token, or with its browser's session."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return let_in(request, secret.strip() if scheme.lower() == "bearer" else None, paced=False) is not None


def unknown() -> Refusal:
    """Return the refusal of somebody without a token in force."""
    detail = "expected `Authorization: Bearer TOKEN` with a token in force; `firstline token create` makes one"
    return Refusal(HTTPStatus.UNAUTHORIZED, detail, headers={"www-authenticate": "Bearer"})


def needs(role: Role) -> Callable[..., Visitor]:
    """Return a dependency: the visitor, who has at least this role."""

    def visitor(asking: Annotated[Visitor, Depends(_asking)]) -> Visitor:
        asking.require(role)
        return asking

    return visitor


Viewer = Annotated[Visitor, Depends(needs(Role.VIEWER))]
Submitter = Annotated[Visitor, Depends(needs(Role.SUBMITTER))]
Operator = Annotated[Visitor, Depends(needs(Role.OPERATOR))]
Admin = Annotated[Visitor, Depends(needs(Role.ADMIN))]


def watching(request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None) -> None:
    """Let in whoever may see figures of the whole deployment: the token that is for nothing else, or an administrator.

    As everywhere, this machine is let in while no token is configured.
    """
    own = doors_of(request).settings.metrics_token
    given = bearer.credentials if bearer else ""
    if own is None or not hmac.compare_digest(given.encode(), own.get_secret_value().encode()):
        _asking(request, bearer).require(Role.ADMIN)


def seen_job(job: JobId, visitor: Viewer) -> str:
    """Return the job's id where the visitor may see it; else there is no such job."""
    return find_job(job, visitor)


def steered_job(job: JobId, visitor: Operator) -> str:
    """Return the job's id where the visitor may steer it."""
    return find_job(job, visitor)


def find_job(job: str, visitor: Visitor) -> str:
    """Return the job's id; refused as unknown when it is another tenant's."""
    with api.engine().db.reading() as tx:
        tenant = views.tenant_of(tx, job=job)
    if tenant is None or visitor.sees not in (None, tenant):
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no job '{job}'; GET /v1/jobs lists them")
    return job


SeenJob = Annotated[str, Depends(seen_job)]
SteeredJob = Annotated[str, Depends(steered_job)]


def form_guard(cookie: str) -> str:
    """Return what a form must send back: only a page of ours knows it (a double-submit token, bound to the cookie)."""
    return hashlib.sha256(f"form:{cookie}".encode()).hexdigest()


def new_cookie() -> str:
    """Return a cookie for a browser that has none yet."""
    return secrets.token_urlsafe(24)
