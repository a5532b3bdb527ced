"""What is read of a provider's answer: no more than an answer may be."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Price
from firstline.workers.providers import wire
from firstline.workers.providers.gateway import Call
from firstline.workers.providers.unanswered import reply_without_litellm

CHUNK = b"x" * 1000


@pytest.fixture(autouse=True)
def _tapped(monkeypatch):
    monkeypatch.setattr(wire, "BODY_BYTES", 2500)
    monkeypatch.setattr(httpx.AsyncClient, "send", httpx.AsyncClient.send)
    wire.tap(httpx.AsyncClient)


class Flood(httpx.AsyncByteStream):
    """A body that goes on."""

    sent, chunks, is_closed = 0, 100, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self.chunks):
            self.sent += 1
            yield CHUNK

    async def aclose(self) -> None:
        self.is_closed = True


def read(flood: Flood, *, streamed: bool = False) -> wire.Wire:
    async def ask() -> wire.Wire:
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=flood))
        async with httpx.AsyncClient(transport=transport) as client:
            with wire.listening() as heard, suppress(httpx.StreamError):
                if not streamed:
                    await client.get("http://provider")
                else:
                    async with client.stream("GET", "http://provider") as response:
                        await response.aread()
            return heard

    return asyncio.run(ask())


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_goes_on_is_cut_and_its_connection_closed(streamed):
    flood = Flood()
    assert read(flood, streamed=streamed).is_cut
    assert flood.is_closed
    assert flood.sent == 3


def test_a_body_that_ends_is_read_whole():
    flood = Flood()
    flood.chunks = 2
    heard = read(flood)
    assert not heard.is_cut
    assert heard.body == 2 * CHUNK.decode()


def test_what_was_sent_goes_with_the_last_who_knows_the_answer():
    # A request may be of some megabytes; the collector of garbage counts objects, not bytes.
    flood = Flood()
    flood.chunks = 2
    heard = read(flood)
    answer = weakref.ref(heard.response)
    gc.disable()
    try:
        del heard
        assert answer() is None
    finally:
        gc.enable()


def test_what_was_cut_is_an_answer_that_cannot_be_read():
    call = Call(model=Model(name="openai/m", price=Price(input=1, output=1)), messages=())
    reply = reply_without_litellm(RuntimeError("Connection error."), wire.Wire(is_cut=True), call, None)
    assert (reply.error, reply.detail, reply.cost_usd) == (ErrorKind.MALFORMED, wire.CUT, None)
