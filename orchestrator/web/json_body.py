"""A request's JSON body: a large one is read aside, a piece at a time, so that nobody else waits for it."""

import json
import re
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from typing import Annotated, Any

import anyio
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from firstline.orchestrator.web.access import doors_of
from firstline.orchestrator.web.problem import Refusal

#: Bytes of a body that is read where everything is answered: that takes a millisecond or two.
SMALL_BYTES = 64_000
#: Lists and objects, and commas, of a body: each value takes many times its text's memory.
MOST_CONTAINERS, MOST_COMMAS = 1_000_000, 2_000_000
#: Levels whose values are read one by one. Python's reader lets go of the other threads between two of them only.
_LEVELS = 2
#: Bytes that are searched at once, and the length of what is searched for.
_WINDOW, _OVERLAP = 1 << 15, 12
#: One at a time: two would take turns, and both be done later.
_LANE = anyio.CapacityLimiter(1)

#: Half a surrogate pair, or NUL, as JSON writes them: a pair is a character.
_BROKEN = re.compile(
    rb"\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F])\\u[dD][c-fC-F]"
)
_HALF = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

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
        model = TypeAdapter[Any](kind)

        async def handled(request: Request) -> Response:
            if not _is_large(request):
                return await handle(request)
            large = LargeRequest(request.scope, request.receive)
            async with doors_of(request).large.held(request.state.visitor.tenant):
                await large.read(model)
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

    async def read(self, model: TypeAdapter[Any]) -> None:
        """Read the body, and hold it against the model; Refusal where it holds too many values."""
        raw = await self.body()
        self.found = await anyio.to_thread.run_sync(partial(_read, raw, model), limiter=_LANE)

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
    if any(next(_broken(list(pair), ""), None) is not None for pair in words):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "expected text in every field, got half a character or a NUL")


def _takes_json(route: APIRoute) -> bool:
    return route.body_field is not None and not isinstance(route.body_field.field_info, Form)


def _flaw_of(raw: bytes) -> str | None:
    if not _BROKEN.search(raw):
        return None
    try:
        return _flaw(json.loads(raw))
    except (ValueError, RecursionError):
        # Whoever reads it says what is wrong.
        return None


def _is_large(request: Request) -> bool:
    """Whether a body is large, or does not say how large it is."""
    length = request.headers.get("content-length", "")
    announced = "content-length" in request.headers or "transfer-encoding" in request.headers
    return announced and not (length.isdigit() and int(length) <= SMALL_BYTES)


def _read(raw: bytes, model: TypeAdapter[Any]) -> _Read:
    if raw.count(b"[") + raw.count(b"{") > MOST_CONTAINERS or raw.count(b",") > MOST_COMMAS:
        said = f"the request holds more than {MOST_CONTAINERS:,} lists and objects, or {MOST_COMMAS:,} values"
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{said}; send fewer items, or upload them as a file")
    try:
        value = parsed(raw)
    except (ValueError, RecursionError) as error:
        return _Read(failure=error)
    flaw = _flaw(value) if _is_broken(raw) else None
    try:
        return _Read(model.validate_python(value), flaw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        return _Read(flaw=flaw, faults=[{**fault, "loc": ("body", *fault["loc"])} for fault in faults])


def _is_broken(raw: bytes) -> bool:
    return b"\\u" in raw and any(
        _BROKEN.search(raw, max(0, at - _OVERLAP), at + _WINDOW + _OVERLAP) for at in range(0, len(raw), _WINDOW)
    )


def _flaw(value: object) -> str | None:
    if isinstance(value, dict):
        value = {name: part for name, part in value.items() if name != "items"}
    where = next(_broken(value, "body"), None)
    return where and f"{where}: expected text, got half a character or a NUL in it"


def _broken(value: object, at: str) -> Iterator[str]:
    match value:
        case str() if "\0" in value or _HALF.search(value):
            yield at
        case dict():
            for name, part in value.items():
                yield from _broken(name, f"{at}: a name")
                yield from _broken(part, f"{at}.{name}")
        case list():
            for n, part in enumerate(value):
                yield from _broken(part, f"{at}[{n}]")


def parsed(raw: bytes) -> Any:
    """Return the value of a JSON text as `json.loads` does, a piece at a time."""
    text = raw.decode(json.detect_encoding(raw), "surrogatepass")
    value, at = _value(text, _past_space(text, 0), _LEVELS)
    at = _past_space(text, at)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return value


def _value(text: str, at: int, levels: int) -> tuple[Any, int]:
    match levels and text[at : at + 1]:
        case "[":
            return _list(text, at + 1, levels - 1)
        case "{":
            return _object(text, at + 1, levels - 1)
        case _:
            return _DECODER.raw_decode(text, at)


def _list(text: str, at: int, levels: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _past_space(text, at)
    if text[at : at + 1] == "]":
        return found, at + 1
    while True:
        value, at = _value(text, at, levels)
        found.append(value)
        sign, at = _sign(text, at, ",]")
        if sign == "]":
            return found, at
        at = _past_space(text, at)


def _object(text: str, at: int, levels: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _past_space(text, at)
    if text[at : at + 1] == "}":
        return found, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = _DECODER.raw_decode(text, at)
        _, at = _sign(text, at, ":")
        found[name], at = _value(text, _past_space(text, at), levels)
        sign, at = _sign(text, at, ",}")
        if sign == "}":
            return found, at
        at = _past_space(text, at)


def _sign(text: str, at: int, expected: str) -> tuple[str, int]:
    """Return the sign that follows, and where it ends."""
    at = _past_space(text, at)
    sign = text[at : at + 1]
    if not sign or sign not in expected:
        raise json.JSONDecodeError(f"Expecting '{expected[0]}' delimiter", text, at)
    return sign, at + 1


def _past_space(text: str, at: int) -> int:
    found = WHITESPACE.match(text, at)
    return int(found.end())
