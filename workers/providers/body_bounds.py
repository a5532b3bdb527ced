"""How much of an answer is read: its bytes unpacked, a piece at a time, so that no packed one fills memory."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

#: The packings that are asked for: both can be unpacked a piece at a time.
ACCEPTED = "gzip, deflate"
_PACKINGS = frozenset({"gzip", "x-gzip", "deflate"})
_PIECE = 1 << 16


def _nothing() -> None:
    """Do nothing."""


class _BoundedBody:
    """A body unpacked, which ends with an error where it grows longer than it may be."""

    def __init__(self, http: Any, response: Any, most_bytes: int, on_cut: Callable[[], None]) -> None:
        self._http = http
        self._whole = response.stream
        self._left = self._most = most_bytes
        self._on_cut = on_cut
        self._unpacker = _unpacker(response.headers.get("content-encoding", ""), http)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._whole:
            for piece in self._pieces(chunk):
                yield piece

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._whole:
            yield from self._pieces(chunk)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._let_go().aclose()

    def close(self) -> None:
        """Close the connection."""
        self._let_go().close()

    def _let_go(self) -> Any:
        """Return the body as it comes, and forget it: it knows its response, which knows what was sent."""
        whole, self._whole, self._on_cut = self._whole, self._http.ByteStream(b""), _nothing
        return whole

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        for piece in (chunk,) if self._unpacker is None else self._unpacker(chunk):
            self._left -= len(piece)
            if self._left < 0:
                self._on_cut()
                raise self._http.StreamError(f"the answer is longer than {self._most / 2**20:g} MB")
            yield piece


def bound(response: Any, most_bytes: int, on_cut: Callable[[], None] = _nothing) -> None:
    """Have a response that has not been read give so many bytes at most; DecodingError: it is packed in another way.

    It is httpx's, or that of httpx2, which authlib asks with where it is installed; errors are the library's own.
    """
    http, kind = _kind(type(response).__module__.partition(".")[0])
    response.stream = kind(http, response, most_bytes, on_cut)
    for name in ("content-encoding", "content-length"):
        # What comes now is unpacked.
        response.headers.pop(name, None)


def bounding(most_bytes: int) -> Callable[[Any], Awaitable[None]]:
    """Return a hook for responses of an `AsyncClient`, which is to ask for `ACCEPTED` packings."""

    async def hook(response: Any) -> None:
        bound(response, most_bytes)

    return hook


@cache
def _kind(library: str) -> tuple[Any, Callable[..., Any]]:
    """Return an HTTP library, and a bounded body that it takes for one of its own."""
    http = import_module(library)
    return http, type("BoundedBody", (_BoundedBody, http.AsyncByteStream, http.SyncByteStream), {})


def _unpacker(packing: str, http: Any) -> Callable[[bytes], Iterator[bytes]] | None:
    packing = packing.strip().lower()
    if packing in ("", "identity"):
        return None
    if packing not in _PACKINGS:
        raise http.DecodingError(f"the answer is packed as {packing[:40]!r}; expected {ACCEPTED}, or as it is")
    inflater, head = zlib.decompressobj(zlib.MAX_WBITS | 32), b""

    def unpacked(chunk: bytes) -> Iterator[bytes]:
        nonlocal inflater, head
        if packing == "deflate" and len(head) < 2:
            chunk, head = head + chunk, head + chunk[:2]
            if len(head) < 2:
                return
            if int.from_bytes(head[:2]) % 31:
                # Some servers leave the header of `deflate` away.
                inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while chunk:
            try:
                piece = inflater.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise http.DecodingError(f"the answer cannot be unpacked: {error}") from None
            chunk = inflater.unconsumed_tail
            if piece:
                yield piece

    return unpacked
