"""A request's JSON body: a large one is read by a process of its own, so that nobody else waits for it."""

import json
import marshal
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Annotated, Any

import anyio
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError, WrapValidator
from pydantic_core import PydanticKnownError
from starlette.responses import Response

from firstline.orchestrator.submission.item_file import ItemFile
from firstline.orchestrator.web import body_process
from firstline.orchestrator.web.access import doors_of
from firstline.orchestrator.web.body_process import broken, flaw_of
from firstline.orchestrator.web.problem import Refusal

#: Bytes of a body that is read where everything is answered: that takes a millisecond or two.
SMALL_BYTES = 64_000
#: Items of a request.
MOST_ITEMS = 100_000
#: Bytes of memory that reading a body may take, and seconds.
_ROOM, _READ_S = 600_000_000, 60
#: One at a time: two would take turns, and both be done later.
_LANE = anyio.CapacityLimiter(1)

#: Half a surrogate pair, or NUL, as JSON writes them: a pair is a character.
_BROKEN = re.compile(
    rb"\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F])\\u[dD][c-fC-F]"
)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def _as_they_came(value: object, read: Callable[[object], Any]) -> object:
    if not isinstance(value, ItemFile):
        return read(value)
    if len(value) > MOST_ITEMS:
        told = {"field_type": "Tuple", "max_length": MOST_ITEMS, "actual_length": len(value)}
        raise PydanticKnownError("too_long", told)
    return value


#: A model's list of objects that may be a file.
MAY_BE_FILE = WrapValidator(_as_they_came)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
    """A route whose large bodies are read, and held against its model, outside the loop.

    Two of a tenant are read and answered at once; further ones stay on the wire meanwhile.
    """

    #: A place is kept until the answer is there; without, what waits for an answer may be many.
    is_brief = True

    def get_route_handler(self) -> Handler:
        """Return the handler that FastAPI makes, behind the reader of large bodies."""
        handle = super().get_route_handler()
        if self.body_field is None or not _takes_json(self):
            return handle
        told = self.body_field.field_info
        kind: Any = Annotated[(told.annotation, "body", *told.metadata)]
        model, items = TypeAdapter[Any](kind), _field_of_items(told.annotation)

        async def handled(request: Request) -> Response:
            if not _is_large(request):
                return await handle(request)
            large = LargeRequest(request.scope, request.receive)
            with TemporaryDirectory(prefix="firstline-") as folder:
                async with doors_of(request).large.held(request.state.visitor.tenant):
                    await large.read(model, Path(folder) / "items.jsonl", items)
                    if self.is_brief:
                        return await large.answered(handle)
                return await large.answered(handle)

        return handled


class WaitingJsonRoute(JsonRoute):
    """One whose answers are long in coming."""

    is_brief = False


@dataclass(frozen=True)
class _Read:
    """What a body holds."""

    #: Of the route's model; None where it does not fit it.
    value: Any = None
    #: What is wrong with its texts.
    flaw: str | None = None
    #: Why it does not fit the model.
    faults: list[Any] = field(default_factory=list)
    #: It is no JSON.
    failure: Exception | None = None


class LargeRequest(Request):
    """A request whose body is read already."""

    found = _Read()
    #: Bytes that came.
    size = 0

    async def read(self, model: TypeAdapter[Any], items: Path, field: str) -> None:
        """Read the body, its items into a file, and hold it against the model; Refusal where it holds too much."""
        with TemporaryFile(prefix="firstline-") as body:
            try:
                async for chunk in self.stream():
                    body.write(chunk)
                self.size = body.tell()
            except OSError as error:
                raise _no_room(error.strerror) from None
            self.found = await anyio.to_thread.run_sync(partial(_read, body, model, items, field), limiter=_LANE)

    async def body(self) -> bytes:
        """Return something where a body came; what came is read already."""
        return b"{}" if self.size else b""

    async def json(self) -> Any:
        """Return the body as its model has it, which is not validated again."""
        if self.found.failure is not None:
            raise self.found.failure
        return self.found.value

    async def answered(self, handle: Handler) -> Response:
        """Have it answered; who asks, and how, is looked at before what they sent."""
        try:
            return await handle(self)
        except RequestValidationError:
            if not self.found.faults:
                raise
        raise RequestValidationError(self.found.faults)


async def only_whole_text(request: Request) -> None:
    """Refuse a JSON body with half a character or a NUL, which no database takes; `items` fail each by itself."""
    route = request.scope.get("route")
    # What nobody takes is not read.
    if not isinstance(route, JsonRoute) or not _takes_json(route):
        return
    flaw = request.found.flaw if isinstance(request, LargeRequest) else _flaw_of(await request.body())
    if flaw is not None:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, flaw)


async def only_whole_words(request: Request) -> None:
    """Refuse an address or a form with half a character or a NUL in a field: no database takes them."""
    words = [*request.query_params.multi_items(), *request.path_params.items()]
    if request.method == "POST" and request.headers.get("content-type", "").startswith(_FORMS):
        words += (await request.form()).multi_items()
    if any(broken(list(pair), "") for pair in words):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "expected text in every field, got half a character or a NUL")


def _takes_json(route: APIRoute) -> bool:
    return route.body_field is not None and not isinstance(route.body_field.field_info, Form)


def _flaw_of(raw: bytes) -> str | None:
    if not _BROKEN.search(raw):
        return None
    try:
        return flaw_of(json.loads(raw))
    except (ValueError, RecursionError):
        # Whoever reads it says what is wrong.
        return None


def _is_large(request: Request) -> bool:
    """Whether a body is large, or does not say how large it is."""
    length = request.headers.get("content-length", "")
    announced = "content-length" in request.headers or "transfer-encoding" in request.headers
    return announced and not (length.isdigit() and int(length) <= SMALL_BYTES)


def _field_of_items(annotation: Any) -> str:
    """Return which field of a model may be a file; "" where none may."""
    fields = getattr(annotation, "model_fields", {})
    return next((name for name, field in fields.items() if MAY_BE_FILE in field.metadata), "")


def _read(body: IO[bytes], model: TypeAdapter[Any], items: Path, field: str) -> _Read:
    told = _told(body, items, field)
    if "much" in told:
        said = f"the request holds {told['much']}; send fewer items, or upload them as a file"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
    if "wrong" in told:
        reason, position = told["wrong"]
        return _Read(failure=json.JSONDecodeError(reason, "", position))
    if "unread" in told:
        return _Read(failure=ValueError(told["unread"]))
    if "unwritten" in told:
        raise _no_room(told["unwritten"])
    value = told["value"]
    if told.get("strangers"):
        strangers = told["strangers"]
        return _Read(
            flaw=told["flaw"],
            faults=[{"type": "dict_type", "loc": ("body", field, n), "input": one} for n, one in strangers],
        )
    if told.get("count"):
        value[field] = ItemFile(items, told["count"])
    try:
        return _Read(model.validate_python(value), told["flaw"])
    except ValidationError as error:
        faults = error.errors(include_url=False)
        return _Read(flaw=told["flaw"], faults=[{**fault, "loc": ("body", *fault["loc"])} for fault in faults])


def _no_room(why: str | None) -> Refusal:
    said = f"the request cannot be put down while it is read ({why}); try again soon"
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, said, headers={"retry-after": "30"})


def _told(body: IO[bytes], items: Path, field: str) -> dict[str, Any]:
    """Return what the process says of a body; Refusal where it was stopped."""
    body.seek(0)
    if os.fstat(body.fileno()).st_size <= SMALL_BYTES:
        # It did not say how small it is.
        return body_process.read(body.read(), str(items), field)
    command = (sys.executable, "-I", "-S", body_process.__file__, str(_ROOM), str(items), field)
    try:
        done = subprocess.run(command, stdin=body, capture_output=True, env={}, timeout=_READ_S, check=True)
    except (subprocess.SubprocessError, OSError):
        said = f"the request could not be read within {_READ_S} seconds; send fewer items, or upload them as a file"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said) from None
    told: dict[str, Any] = marshal.loads(done.stdout)
    return told
