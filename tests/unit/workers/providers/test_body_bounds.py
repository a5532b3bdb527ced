"""Packed answers: unpacked a piece at a time, and no further than an answer may be."""

import asyncio
import gzip
import zlib
from collections.abc import Iterator

import httpx
import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Price
from firstline.workers.providers import body_bounds, wire
from firstline.workers.providers.batches import transport
from firstline.workers.providers.batches.transport import BatchHttp
from firstline.workers.providers.batches.wire import BatchError
from firstline.workers.providers.body_bounds import bound

TEXT = b"some text, again and again. " * 400
BOMB = gzip.compress(b"0" * 10_000_000)


class Chunks(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body of a few bytes at a time."""

    def __init__(self, body: bytes, size: int = 7) -> None:
        self.parts = [body[at : at + size] for at in range(0, len(body), size)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts

    async def __aiter__(self):
        for part in self.parts:
            yield part


def response(body: bytes, packing: str, size: int = 7) -> httpx.Response:
    return httpx.Response(200, headers={"content-encoding": packing}, stream=Chunks(body, size))


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("packing", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate), ("identity", bytes), ("", bytes)],
)
def test_what_is_packed_comes_whole(packing, pack, size):
    found = response(pack(TEXT), packing, size)
    bound(found, len(TEXT))
    assert found.read() == TEXT
    assert asyncio.run(whole(response(pack(TEXT), packing, size))) == TEXT


async def whole(found: httpx.Response) -> bytes:
    bound(found, len(TEXT))
    return await found.aread()


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip"])
def test_what_cannot_be_unpacked_a_piece_at_a_time_is_not_read(packing):
    with pytest.raises(httpx.DecodingError, match="expected gzip, deflate"):
        bound(response(TEXT, packing), 10**9)


def test_what_is_no_gzip_is_an_error_of_the_wire():
    found = response(TEXT, "gzip")
    bound(found, 10**9)
    with pytest.raises(httpx.DecodingError):
        found.read()


def test_a_bomb_is_never_unpacked_beyond_the_bound(monkeypatch):
    unpacked = list[int]()
    found = response(BOMB, "gzip", len(BOMB))
    bound(found, 100_000)
    inner = found.stream._pieces

    def counted(chunk):
        for piece in inner(chunk):
            unpacked.append(len(piece))
            yield piece

    monkeypatch.setattr(found.stream, "_pieces", counted)
    with pytest.raises(httpx.StreamError, match="longer than"):
        found.read()
    assert len(BOMB) < 20_000
    assert sum(unpacked) <= 100_000
    assert max(unpacked) <= body_bounds._PIECE


def test_a_providers_bomb_is_an_answer_that_is_too_long(monkeypatch):
    monkeypatch.setattr(wire, "BODY_BYTES", 100_000)
    monkeypatch.setattr(httpx.AsyncClient, "send", httpx.AsyncClient.send)
    wire.tap(httpx.AsyncClient)
    asked = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["accept-encoding"])
        return response(BOMB, "gzip", len(BOMB))

    async def ask() -> wire.Wire:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            with wire.listening() as heard, pytest.raises(httpx.StreamError):
                await client.get("http://provider")
            return heard

    assert asyncio.run(ask()).is_cut
    assert asked == [body_bounds.ACCEPTED]


def test_a_batch_apis_bomb_is_no_answer(monkeypatch):
    monkeypatch.setattr(transport, "MOST_BYTES", 100_000)
    there = httpx.MockTransport(lambda _request: response(BOMB, "gzip", len(BOMB)))
    http = BatchHttp(key_of=lambda _: "k", headers_of=lambda _: {}, transport=there)
    model = Model(name="openai/m", price=Price(input=1, output=1))
    with pytest.raises(BatchError) as refused:
        asyncio.run(http.fetch(model, "GET", "http://provider/batches"))
    assert refused.value.reply.error is ErrorKind.MALFORMED
