"""The web process's composition root: routers, middleware, errors, OpenAPI."""

import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from firstline.config.settings import Settings
from firstline.orchestrator.web import health, monitoring
from firstline.orchestrator.web.access import Doors, in_turn
from firstline.orchestrator.web.api import (
    catalogue,
    chat,
    compare,
    experiments,
    families,
    jobs,
    plans,
    quality,
    responses,
    reviews,
    second_answers,
    steering,
)
from firstline.orchestrator.web.audit_trail import AuditTrail
from firstline.orchestrator.web.doorkeeper import Doorkeeper
from firstline.orchestrator.web.headers import SafeHeaders, SameOrigin
from firstline.orchestrator.web.json_body import only_whole_text, only_whole_words
from firstline.orchestrator.web.pages import every_page
from firstline.orchestrator.web.pages.errors import error_page
from firstline.orchestrator.web.parameters import only_known_query
from firstline.orchestrator.web.patience import Patience
from firstline.orchestrator.web.problem import FOR_PROGRAMS, Problem, problem_response
from firstline.orchestrator.web.size import SizeLimit
from firstline.schemas.errors import FirstlineError

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
_ABOUT = """Submit jobs, watch them, decide, and fetch results. Every error is a `Problem` (RFC 9457).

Authenticate with `Authorization: Bearer TOKEN`; `firstline token create` makes one. Roles: `viewer`, `submitter`,
`operator`, `admin`, each of which may do what the ones before it may.
"""


def make_app(settings: Settings, *, loopback: bool) -> FastAPI:
    """Return the app; `loopback`: only this machine can reach it, so that it is open while no token is configured."""
    app = FastAPI(
        title="Firstline",
        description=_ABOUT,
        version=_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_living,
    )
    app.state.book, app.state.book_lock, app.state.purse = None, threading.Lock(), None
    app.state.doors = Doors(settings, loopback=loopback)
    app.state.lookout = monitoring.make_lookout()
    # What is waited for with an answer takes its turns itself.
    openai, trials = (chat, responses), (experiments, second_answers)
    of_jobs, of_quality = (jobs, steering, plans), (quality, families, reviews)
    for module in (*of_jobs, catalogue, compare, *trials, *of_quality, *openai, health, monitoring):
        turn = [] if module in openai else [Depends(in_turn, scope="function")]
        doors = [Depends(only_known_query), Depends(only_whole_words), Depends(only_whole_text)]
        app.include_router(module.router, dependencies=[*doors, *turn])
    for router in every_page():
        doors = [Depends(only_whole_words), Depends(in_turn, scope="function")]
        app.include_router(router, include_in_schema=False, dependencies=doors)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    for kind in (FirstlineError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(
        SizeLimit,
        body_mb=settings.api_max_body_mb,
        upload_mb=settings.api_max_upload_mb,
        spool_mb=settings.api_max_spool_mb,
    )
    app.add_middleware(Doorkeeper, refused=_refused)
    app.add_middleware(SameOrigin, loopback=loopback)
    app.add_middleware(Patience, requests_per_minute=settings.api_requests_per_minute)
    app.add_middleware(AuditTrail)
    app.add_middleware(SafeHeaders)
    return app


@asynccontextmanager
async def _living(app: FastAPI) -> AsyncIterator[None]:
    yield
    if app.state.book is not None:
        app.state.book.stop()


async def _answer(request: Request, error: Exception) -> Response:
    if not isinstance(error, FirstlineError | RequestValidationError | HTTPException):
        _log.error("web.bug", exc_info=error, extra={"path": request.url.path})
    return _refused(request, error)


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # A path's methods are routes of their own, and each knows of itself alone.
        error = HTTPException(error.status_code, headers={"allow": ", ".join(_allowed(request))})
    if request.url.path.startswith(FOR_PROGRAMS):
        return problem_response(request, error)
    return error_page(request, error)


def _allowed(request: Request) -> list[str]:
    path = request.url.path
    fits = [route for route in _each(request.app.routes) if route.path_regex.match(path)]
    # `/v1/jobs/upload` is no job that is called so.
    named = [route for route in fits if route.path == path]
    return sorted({method for route in named or fits for method in route.methods or ()})


def _each(routes: Iterable[object]) -> Iterator[Route]:
    """Yield every route of these, and of the routers among them."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from _each(getattr(getattr(route, "original_router", None), "routes", ()))


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        own = problem.pop("$defs", {}) | {"Problem": problem}
        assert not own.keys() & schemas.keys(), "two schemas are named alike"
        schemas |= own
        app.openapi_schema = schema
    return app.openapi_schema


def _version() -> str:
    try:
        return version("firstline")
    except PackageNotFoundError:
        return "0"
