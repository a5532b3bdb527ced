"""A Batch API, OpenAI's wire format, whose batches end badly in the ways that public bug reports tell of."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.acceptance.played_replies import answered, listening

ANSWER = json.dumps({"label": "delivery", "quote": "where is it"})
LIMIT = "Enqueued token limit reached for small in organization org-x. Limit: 2,000,000 enqueued tokens."
_SHOWN = ("n", "ids")


@dataclass
class Endings:
    """The files and batches of one server; `mode` says how the first batch (or every one) ends."""

    mode: str
    files: dict[str, str] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Calls answered at once, outside of any batch.
    direct: int = 0

    @property
    def submitted(self) -> list[int]:
        """Number of requests of each batch that was handed in."""
        return [len(batch["ids"]) for batch in self.batches.values()]

    def put(self, text: str) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = text
        return name

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = len(self.batches) + 1
        batch = {
            "id": f"batch_{number}",
            "n": number,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "metadata": asked.get("metadata"),
            "status": "in_progress",
            "created_at": int(time.time()),
            "output_file_id": None,
            "error_file_id": None,
            "errors": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "ids": re.findall(r'"custom_id": ?"([^"]+)"', self.files[asked["input_file_id"]]),
        }
        self.batches[str(batch["id"])] = batch
        return batch

    def look(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        if batch["status"] == "in_progress":
            self._end(batch)
        return batch

    def body(self) -> dict[str, Any]:
        said: dict[str, Any] = answered(ANSWER, "small")["body"]
        return said | {"usage": None} if self.mode == "partialusage" else said

    def _end(self, batch: dict[str, Any]) -> None:
        ids, mode = batch["ids"], self.mode if batch["n"] == 1 or self.mode in ("failed", "twice") else "good"
        out, errors, status = [self._line(one) for one in ids], [], "completed"
        match mode:
            case "badline":
                out[1] = out[1][:60]
            case "noout":
                out, errors = [], [_error(one, "invalid_request", 400, "Unknown parameter") for one in ids]
            case "expired":
                out, errors, status = out[:1], [_error(one, "batch_expired") for one in ids[1:]], "expired"
            case "failed":
                out, status = [], "failed"
                batch["errors"] = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": LIMIT}]}
            case "missing":
                out = out[:-1]
            case "twice":
                out = [*out, out[0]]
        mark = "\r\n" if self.mode == "crlf" else "\n"
        batch["status"] = status
        batch["output_file_id"] = self.put(mark.join(out) + mark) if out else None
        batch["error_file_id"] = self.put(mark.join(errors) + mark) if errors else None

    def _line(self, one: str) -> str:
        response = {"status_code": 200, "request_id": "q", "body": self.body()}
        return json.dumps({"id": f"r{one}", "custom_id": one, "response": response, "error": None})


def _error(one: str, code: str, status: int | None = None, said: str = "x") -> str:
    told = {"message": said, "code": code}
    response = None if status is None else {"status_code": status, "body": {"error": told}}
    error = told if status is None else None
    return json.dumps({"id": f"r{one}", "custom_id": one, "response": response, "error": error})


@contextmanager
def serving(mode: str) -> Iterator[tuple[str, Endings]]:
    """Serve batches that end in a mode; yield the URL without `/v1`, and what became of them."""
    endings = Endings(mode)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
            if self.path.endswith("/files"):
                named = {"object": "file", "bytes": len(raw), "created_at": 1, "filename": "b.jsonl"}
                self._say({"id": endings.put(raw), **named, "purpose": "batch", "status": "processed"})
            elif self.path.endswith("/batches"):
                self._say(_shown(endings.create(json.loads(raw))))
            else:
                endings.direct += 1
                self._say(endings.body())

        def do_GET(self) -> None:
            name = self.path.split("?")[0].split("/")[-1]
            if name == "content":
                self._send(endings.files[self.path.split("/")[-2]].encode(), "application/octet-stream")
            elif name in endings.batches:
                self._say(_shown(endings.look(name)))
            else:
                self._say({"object": "list", "data": [*map(_shown, endings.batches.values())], "has_more": False})

        def _say(self, data: dict[str, Any]) -> None:
            self._send(json.dumps(data).encode(), "application/json")

        def _send(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with listening(Handler) as url:
        yield url, endings


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name not in _SHOWN}
