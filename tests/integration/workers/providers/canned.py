"""A server that answers every request with what it is given next, as a provider would over HTTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Canned:
    """What the server answers, and what it was asked."""

    url: str = ""
    status: int = 200
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    #: Bytes that are promised and never come: the answer is cut off.
    missing: int = 0
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answer(
        self, body: object, *, status: int = 200, headers: dict[str, str] | None = None, missing: int = 0
    ) -> None:
        """Set what is answered from now on: text as it is, anything else as JSON."""
        self.text = body if isinstance(body, str) else json.dumps(body)
        self.status, self.headers, self.missing = status, headers or {}, missing


@contextmanager
def canned_server() -> Iterator[Canned]:
    """Run the server on a free port."""
    canned = Canned()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            canned.asked.append((self.path, json.loads(raw or b"null")))
            data = canned.text.encode()
            self.send_response(canned.status)
            for name, value in ({"Content-Type": "application/json"} | canned.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + canned.missing))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = canned.missing > 0

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
