"""The one shape of every error of the API: RFC 9457 problem details."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException

from firstline.config.errors.error_messages import dotted, sentence
from firstline.orchestrator.web.body_process import DEEP
from firstline.schemas.base import Frozen
from firstline.schemas.errors import FirstlineError, InfrastructureError, OverQuotaError, UserError
from firstline.workers.rules.json_text import printable

MEDIA_TYPE = "application/problem+json"
#: How the paths begin that programs ask for; everything else is a page.
FOR_PROGRAMS = ("/v1/", "/openapi.json", "/health", "/metrics")


class RequestFault(Frozen):
    """One thing that is wrong with a request, and where: `body.items[0]`."""

    at: str
    text: str


class OpenAIError(Frozen):
    """The same error for clients of the OpenAI API."""

    message: str
    type: str
    code: str | None = None
    param: str | None = None


class Problem(Frozen):
    """Why a request was refused, and how to mend it."""

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: tuple[RequestFault, ...] = ()
    #: Only from the OpenAI-compatible endpoints.
    error: OpenAIError | None = None


class Refusal(FirstlineError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers or {}


#: What kinds of our errors amount to, the narrower ones first.
_KINDS: dict[type[FirstlineError], tuple[HTTPStatus, dict[str, str]]] = {
    OverQuotaError: (HTTPStatus.TOO_MANY_REQUESTS, {"retry-after": "30"}),
    UserError: (HTTPStatus.UNPROCESSABLE_ENTITY, {}),
    InfrastructureError: (HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "2"}),
}


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """Return an exception as a problem, with the headers that go with it."""
    match error:
        case Refusal():
            return _problem(error.status, str(error)), error.headers
        case RequestValidationError():
            told = ((dotted(tuple(one["loc"])), sentence(one)) for one in error.errors())
            faults = tuple(RequestFault(at=printable(at), text=printable(text)) for at, text in told)
            detail = "; ".join(f"{fault.at}: {fault.text}" for fault in faults)
            return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail).evolve(errors=faults), {}
        case UserError() | InfrastructureError():
            status, headers = next(found for kind, found in _KINDS.items() if isinstance(error, kind))
            return _problem(status, str(error)), dict(headers)
        case HTTPException(status_code=HTTPStatus.BAD_REQUEST, __cause__=ValueError() | RecursionError() as cause):
            # FastAPI's word for a body that it cannot read says no more than that.
            why = DEEP if isinstance(cause, RecursionError) else cause
            return _problem(HTTPStatus.BAD_REQUEST, f"expected JSON, got what cannot be read: {why}"), {}
        case HTTPException():
            return _problem(HTTPStatus(error.status_code), str(error.detail)), dict(error.headers or {})
        case _:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong inside Firstline; see its log"), {}


def _problem(status: HTTPStatus, detail: str) -> Problem:
    # It may quote what was sent, in which nothing need be a character.
    return Problem(title=status.phrase, status=status, detail=printable(detail))


def problem_response(request: Request, error: Exception) -> JSONResponse:
    """Answer a request of the API with the problem that an exception stands for."""
    problem, headers = problem_of(error)
    if request.url.path.startswith(("/v1/chat/completions", "/v1/responses", "/v1/models")):
        # What is wrong with a request is a 400 there.
        if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            problem = problem.evolve(status=HTTPStatus.BAD_REQUEST, title=HTTPStatus.BAD_REQUEST.phrase)
        kind = "server_error" if problem.status >= 500 else "invalid_request_error"
        said = OpenAIError(message=problem.detail, type=kind, code=str(problem.status))
        problem = problem.evolve(error=said)
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True), problem.status, headers=headers, media_type=MEDIA_TYPE
    )


#: What OpenAPI says of a server-sent event.
EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {"event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["data"],
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of errors: those that any request may meet, and these."""
    usual = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in (*usual, *statuses)
    }
