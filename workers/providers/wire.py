"""What came over the wire for a call: kept beside litellm, which loses it where it cannot read it."""

import functools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

#: Lines that servers and proxies send while a model thinks: comments of server-sent events.
_KEEP_ALIVE = re.compile(r"\A(?:\s*:[^\n]*\n|\s+)*")

#: The longest body that is read of an answer, unpacked; token probabilities of a long one take some megabytes.
BODY_BYTES = 32 * 2**20
#: What is said of one that is longer.
CUT = f"the provider's answer is longer than {BODY_BYTES // 2**20} MB"

_wire: ContextVar["Wire | None"] = ContextVar("wire", default=None)


@dataclass(slots=True)
class Wire:
    """The last response of a call, as httpx has it."""

    response: Any = None
    #: How long it may be; None: as an answer may.
    most_bytes: int | None = None
    #: It was longer than an answer may be, and was not read to its end.
    is_cut: bool = False

    def cut(self) -> None:
        """Note that it was longer than an answer may be."""
        self.is_cut = True

    @property
    def status(self) -> int | None:
        """The HTTP status; None where nothing came back."""
        return None if self.response is None else int(self.response.status_code)

    @property
    def headers(self) -> dict[str, str]:
        """The headers, lower-cased."""
        return {} if self.response is None else {name.lower(): value for name, value in self.response.headers.items()}

    @property
    def body(self) -> str:
        """The body as text, with U+FFFD for what is no UTF-8; empty where it was not read."""
        try:
            return "" if self.response is None else self.response.content.decode("utf-8", "replace")
        except RuntimeError:  # it was streamed, and nobody read it
            return ""

    @property
    def json(self) -> Any:
        """The body's value, without the comments of who waited with us; None where it is no JSON."""
        try:
            return json.loads(_KEEP_ALIVE.sub("", self.body, count=1))
        except (ValueError, RecursionError):
            return None


@contextmanager
def listening(*, most_bytes: int | None = None) -> Iterator[Wire]:
    """Keep the responses that come back within the context; `most_bytes`: of each is read, if not as of an answer."""
    wire = Wire(most_bytes=most_bytes)
    token = _wire.set(wire)
    try:
        yield wire
    finally:
        _wire.reset(token)


def tap(client: Any) -> None:
    """Have every `httpx.AsyncClient` tell what came back; it is done once a process."""
    send = client.send
    if getattr(send, "is_tapped", False):
        return
    from firstline.workers.providers.body_bounds import ACCEPTED, bound

    @functools.wraps(send)
    async def tapped(self: Any, request: Any, *, stream: bool = False, **options: Any) -> Any:
        if (wire := _wire.get()) is None:
            return await send(self, request, stream=stream, **options)
        request.headers["accept-encoding"] = ACCEPTED
        response = await send(self, request, stream=True, **options)
        try:
            bound(response, wire.most_bytes or BODY_BYTES, wire.cut)
        except BaseException:
            await response.aclose()
            raise
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        wire.response = response
        return response

    tapped.is_tapped = True  # type: ignore[attr-defined]
    client.send = tapped
