"""A provider that plays raw HTTP replies, well-formed or not: what the simulator's scripts cannot say."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = dict[str, Any]
#: Of the servers so far: workers remember what an endpoint takes, so that no two may have the same.
PORTS: set[int] = set()


@contextmanager
def playing(answer: Callable[[dict[str, Any]], Reply]) -> Iterator[tuple[str, list[tuple[dict[str, Any], Reply]]]]:
    """Serve replies; yield the base URL, and what was asked and answered.

    A reply has `status` (200), `headers`, `body` (JSON) or `text` (raw), `prefix`, and `close` (the connection drops).
    """
    log: list[tuple[dict[str, Any], Reply]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            reply = answer(asked)
            log.append((asked, reply))
            if reply.get("close"):
                self.close_connection = True
                return
            body = json.dumps(reply.get("body"), ensure_ascii=reply.get("ascii", False))
            data = (reply.get("prefix", "") + reply.get("text", body)).encode("utf-8", "surrogatepass")
            self.send_response(reply.get("status", 200))
            for name, value in {"Content-Type": "application/json", **reply.get("headers", {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with listening(Handler) as url:
        yield f"{url}/v1", log


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with a handler; yield the URL, which none had before."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    while server.server_address[1] in PORTS:
        server.server_close()
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    PORTS.add(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def plays(listed: Sequence[dict[str, Any]]) -> Callable[[dict[str, Any]], Reply]:
    """Return what answers by the first play that fits: its replies in turn, the last one for ever."""
    turns: dict[int, int] = {}
    lock = threading.Lock()

    def answer(asked: dict[str, Any]) -> Reply:
        said = json.dumps(asked, ensure_ascii=False)
        for place, play in enumerate(listed):
            needle = json.dumps(play.get("contains", ""), ensure_ascii=False)[1:-1]
            if needle in said and play.get("model", asked.get("model")) == asked.get("model"):
                with lock:
                    turns[place] = turns.get(place, -1) + 1
                    return play["replies"][min(turns[place], len(play["replies"]) - 1)]
        return {"status": 404, "body": {"error": {"message": "no play fits"}}}

    return answer


def answered(text: str, model: str) -> Reply:
    """Return a chat completion of a text."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return {"body": {"id": "c", "object": "chat.completion", "model": model, "choices": [choice], "usage": usage}}


def items_shown(asked: dict[str, Any], pattern: str) -> list[Any]:
    """Return what the last user's message that has it shows of a pattern."""
    said = [str(message["content"]) for message in asked["messages"] if message["role"] == "user"]
    return next((found for text in reversed(said) if (found := re.findall(pattern, text))), [])
