"""How much of an answer is read: its bytes unpacked, a piece at a time, so that no packed one fills memory."""

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx

#: The packings that are asked for: both can be unpacked a piece at a time.
ACCEPTED = "gzip, deflate"
_PACKINGS = frozenset({"gzip", "x-gzip", "deflate"})
_PIECE = 1 << 16


class BoundedBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body unpacked, which ends with an error where it grows longer than it may be."""

    def __init__(self, response: httpx.Response, most_bytes: int, on_cut: Callable[[], None] = lambda: None) -> None:
        self._whole = response.stream
        self._left = self._most = most_bytes
        self._on_cut = on_cut
        self._unpacker = _unpacker(response.headers.get("content-encoding", ""))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._whole, httpx.AsyncByteStream)
        async for chunk in self._whole:
            for piece in self._pieces(chunk):
                yield piece

    def __iter__(self) -> Iterator[bytes]:
        assert isinstance(self._whole, httpx.SyncByteStream)
        for chunk in self._whole:
            yield from self._pieces(chunk)

    async def aclose(self) -> None:
        """Close the connection."""
        assert isinstance(self._whole, httpx.AsyncByteStream)
        await self._whole.aclose()

    def close(self) -> None:
        """Close the connection."""
        assert isinstance(self._whole, httpx.SyncByteStream)
        self._whole.close()

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        for piece in (chunk,) if self._unpacker is None else self._unpacker(chunk):
            self._left -= len(piece)
            if self._left < 0:
                self._on_cut()
                raise httpx.StreamError(f"the answer is longer than {self._most / 2**20:g} MB")
            yield piece


def bound(response: httpx.Response, most_bytes: int, on_cut: Callable[[], None] = lambda: None) -> None:
    """Have a response that has not been read give so many bytes at most; DecodingError: it is packed in another way."""
    response.stream = BoundedBody(response, most_bytes, on_cut)
    for name in ("content-encoding", "content-length"):
        # What comes now is unpacked.
        response.headers.pop(name, None)


def bounding(most_bytes: int) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return a hook for responses of an `httpx.AsyncClient`, which is to ask for `ACCEPTED` packings."""

    async def hook(response: httpx.Response) -> None:
        bound(response, most_bytes)

    return hook


def _unpacker(packing: str) -> Callable[[bytes], Iterator[bytes]] | None:
    packing = packing.strip().lower()
    if packing in ("", "identity"):
        return None
    if packing not in _PACKINGS:
        raise httpx.DecodingError(f"the answer is packed as {packing[:40]!r}; expected {ACCEPTED}, or as it is")
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
                raise httpx.DecodingError(f"the answer cannot be unpacked: {error}") from None
            chunk = inflater.unconsumed_tail
            if piece:
                yield piece

    return unpacked
