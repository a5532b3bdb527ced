"""The head of a request has an end, whoever sends it."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from uvicorn.config import Config

from firstline.orchestrator.web import heads
from firstline.orchestrator.web.serving import LOOPBACK, listening


async def app(scope, receive, send):
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b"k" if len(body) in (0, 500_000) else b"?"})


@contextmanager
def served():
    listener = listening(LOOPBACK, 0)
    server = uvicorn.Server(Config(app, http=heads.BoundedHeads, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    with socket.create_connection(listener.getsockname(), timeout=10) as client:
        yield client
    server.should_exit = True
    thread.join(10)


def answer(client: socket.socket) -> str:
    said = client.recv(10_000)
    while not said.endswith(b"\r\n\r\nk"):
        said += client.recv(10_000)
    return said.decode().partition("\r\n")[0]


#: Far more than the sockets' own buffers take.
MUCH = 64_000_000
ENDLESS = {
    "many headers": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 10_000),
    "one header": (b"GET / HTTP/1.1\r\nhost: x\r\na: ", b"b" * 60_000),
    "a path": (b"GET /", b"b" * 60_000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_head_that_goes_on_is_refused_and_its_connection_closed(kind):
    begin, more = ENDLESS[kind]
    with served() as client:
        client.sendall(begin)
        sent = 0
        try:
            while sent < MUCH:
                client.sendall(more)
                sent += len(more)
        except OSError:  # it was closed
            pass
        assert sent < MUCH


def test_an_ordinary_head_and_a_large_body_are_taken_again_and_again():
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncookie: " + b"c" * 8_000 + b"\r\ncontent-length: 500000\r\n\r\n"
    with served() as client:
        for _ in range(3):
            client.sendall(head + b"x" * 500_000)
            assert answer(client) == "HTTP/1.1 200 OK"
