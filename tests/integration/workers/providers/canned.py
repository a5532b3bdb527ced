"""A server that answers as a provider would over HTTP: each request with what it is given next, or by a play."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Response:
    """What is answered: a text as it is, anything else as JSON."""

    body: object
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes that are promised and never come: the answer is cut off.
    missing: int = 0

    @property
    def data(self) -> bytes:
        """The body on the wire."""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Canned:
    """What the server answers, and what it was asked."""

    url: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    #: Returns the answer to a request's path and body.
    play: Callable[[str, Any], Response] = lambda *_: Response(None, 500)

    def answer(
        self, body: object, *, status: int = 200, headers: dict[str, str] | None = None, missing: int = 0
    ) -> None:
        """Set what is answered from now on."""
        response = Response(body, status, headers or {}, missing)
        self.play = lambda *_: response


@contextmanager
def canned_server() -> Iterator[Canned]:
    """Run the server on a free port."""
    canned = Canned()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"null")
            canned.asked.append((self.path, body))
            response = canned.play(self.path, body)
            self.send_response(response.status)
            for name, value in ({"Content-Type": "application/json"} | response.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(response.data) + response.missing))
            self.end_headers()
            self.wfile.write(response.data)
            self.close_connection = response.missing > 0

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    canned.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield canned
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
