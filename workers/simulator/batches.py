"""OpenAI's Batch API: files of requests in, files of answers out, some time later."""

import itertools
import json
import time
from dataclasses import dataclass, field
from random import Random

from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firstline.schemas.base import Json, JsonObject
from firstline.workers.simulator import responses
from firstline.workers.simulator.engine import Engine, Outcome
from firstline.workers.simulator.ledger import Ledger
from firstline.workers.simulator.script import BatchRule


@dataclass(slots=True)
class StoredFile:
    """An uploaded or written file."""

    id: str
    name: str
    purpose: str
    content: bytes
    created_at: int = field(default_factory=lambda: int(time.time()))

    def describe(self) -> JsonObject:
        """Return the file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
        }


@dataclass(slots=True)
class Batch:
    """A batch on its way."""

    id: str
    n: int
    request: JsonObject
    lines: list[JsonObject]
    created: float = field(default_factory=time.time)
    status: str = "in_progress"
    ended: float | None = None
    output: str | None = None
    errors: str | None = None
    completed: int = 0
    failed: int = 0
    problems: list[Json] = field(default_factory=list)

    def describe(self) -> JsonObject:
        """Return the batch object."""
        times: JsonObject = {} if self.ended is None else {f"{self.status}_at": int(self.ended)}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.request.get("endpoint"),
            "input_file_id": self.request.get("input_file_id"),
            "completion_window": self.request.get("completion_window", "24h"),
            "metadata": self.request.get("metadata"),
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.errors,
            "errors": {"object": "list", "data": self.problems} if self.problems else None,
            "created_at": int(self.created),
            "in_progress_at": int(self.created),
            "expires_at": int(self.created) + 86_400,
            **times,
            "request_counts": {"total": len(self.lines), "completed": self.completed, "failed": self.failed},
        }


class Batches:
    """Files and batches in memory; a batch is worked off when it is first asked for after its turnaround."""

    def __init__(self, engine: Engine, ledger: Ledger, rule: BatchRule) -> None:
        self._engine = engine
        self._ledger = ledger
        self._rule = rule
        self._files: dict[str, StoredFile] = {}
        self._batches: dict[str, Batch] = {}
        self._ids = itertools.count(1)

    def routes(self) -> list[Route]:
        """Return the routes of files and batches."""
        return [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files/{id}", self.file),
            Route("/v1/files/{id}/content", self.content),
            Route("/v1/batches", self.create, methods=["POST"]),
            Route("/v1/batches", self.listing),
            Route("/v1/batches/{id}", self.poll),
            Route("/v1/batches/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Take a file as multipart form data: `file` and `purpose`."""
        form = await request.form()
        upload = form.get("file")
        if upload is None or isinstance(upload, str):
            return _error(400, "'file' is a required property")
        stored = self._store(await upload.read(), upload.filename or "batch.jsonl", str(form.get("purpose", "batch")))
        return _json(stored.describe())

    async def file(self, request: Request) -> Response:
        """Describe a file."""
        stored = self._files.get(request.path_params["id"])
        return _json(stored.describe()) if stored else _error(404, "No such File object")

    async def content(self, request: Request) -> Response:
        """Give a file's content."""
        stored = self._files.get(request.path_params["id"])
        return (
            Response(stored.content, media_type="application/jsonl") if stored else _error(404, "No such File object")
        )

    async def create(self, request: Request) -> Response:
        """Start a batch over an uploaded file; lines that are no requests fail it at once."""
        body = from_json(await request.body())
        stored = self._files.get(str(body.get("input_file_id"))) if isinstance(body, dict) else None
        if stored is None:
            return _error(400, "'input_file_id' must name an uploaded file")
        lines, problems = _lines(stored.content)
        n = next(self._ids)
        batch = Batch(f"batch_{n}", len(self._batches) + 1, body, lines, problems=problems)
        if problems:
            batch.status, batch.ended = "failed", time.time()
        self._batches[batch.id] = batch
        return _json(batch.describe())

    async def listing(self, _: Request) -> Response:
        """List all batches, newest first."""
        found: list[Json] = [self._advance(batch).describe() for batch in reversed(self._batches.values())]
        return _json({"object": "list", "data": found, "has_more": False})

    async def poll(self, request: Request) -> Response:
        """Describe a batch as it stands."""
        batch = self._batches.get(request.path_params["id"])
        return _json(self._advance(batch).describe()) if batch else _error(404, "No such batch")

    async def cancel(self, request: Request) -> Response:
        """Cancel a batch that has not ended."""
        batch = self._batches.get(request.path_params["id"])
        if batch is None:
            return _error(404, "No such batch")
        if self._advance(batch).ended is None:
            batch.status, batch.ended = "cancelled", time.time()
        return _json(batch.describe())

    def _advance(self, batch: Batch) -> Batch:
        if batch.ended is None and time.time() >= batch.created + self._rule.turnaround_s:
            self._work_off(batch)
        return batch

    def _work_off(self, batch: Batch) -> None:
        losing = self._rule.expire_first is None or batch.n <= self._rule.expire_first
        outputs: list[JsonObject] = []
        errors: list[JsonObject] = []
        for line in batch.lines:
            luck = Random(f"{self._engine.script.seed}:{batch.n}:{line['custom_id']}").random()
            if losing and luck < self._rule.expired:
                errors.append(_expired(line))
            else:
                outcome = self._answer(line, batch.id)
                (outputs if outcome.status == 200 else errors).append(_answered(line, outcome))
        self._end(batch, outputs, errors)

    def _end(self, batch: Batch, outputs: list[JsonObject], errors: list[JsonObject]) -> None:
        expired = any(line["error"] is not None for line in errors)
        batch.status, batch.ended = "expired" if expired else "completed", time.time()
        batch.completed, batch.failed = len(outputs), len(errors)
        batch.output = self._write(outputs, f"{batch.id}_output.jsonl")
        batch.errors = self._write(errors, f"{batch.id}_error.jsonl")

    def _answer(self, line: JsonObject, batch: str) -> Outcome:
        body = line.get("body")
        outcome = self._engine.answer(body if isinstance(body, dict) else {}, limited=False)
        if outcome.silence is not None:
            outcome = Outcome(
                500, responses.problem("The request could not be completed", "server_error"), model=outcome.model
            )
        if outcome.paid is not None:
            self._ledger.charge(outcome.model, batch=batch, **outcome.charges())
        return outcome

    def _write(self, lines: list[JsonObject], name: str) -> str | None:
        return (
            self._store(b"".join(to_json(line) + b"\n" for line in lines), name, "batch_output").id if lines else None
        )

    def _store(self, content: bytes, name: str, purpose: str) -> StoredFile:
        stored = StoredFile(f"file-{next(self._ids)}", name, purpose, content)
        self._files[stored.id] = stored
        return stored


def _lines(content: bytes) -> tuple[list[JsonObject], list[Json]]:
    """Return the requests of an input file, and OpenAI's error objects for the lines that are none."""
    lines: list[JsonObject] = []
    problems: list[Json] = []
    seen: set[str] = set()
    for number, raw in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if not raw.strip():
            continue
        line = _line(raw)
        if line is None:
            problems.append(
                {"code": "invalid_json_line", "line": number, "message": "This line is not parseable as valid JSON."}
            )
        elif str(line.get("custom_id")) in seen or not isinstance(line.get("custom_id"), str):
            problems.append(
                {"code": "duplicate_custom_id", "line": number, "message": "custom_id must be there and unique."}
            )
        else:
            seen.add(str(line["custom_id"]))
            lines.append(line)
    return lines, problems


def _line(raw: str) -> JsonObject | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _answered(line: JsonObject, outcome: Outcome) -> JsonObject:
    request = f"req_{line['custom_id']}"
    response: JsonObject = {"status_code": outcome.status, "request_id": request, "body": outcome.body}
    return {"id": f"batch_{request}", "custom_id": line["custom_id"], "response": response, "error": None}


def _expired(line: JsonObject) -> JsonObject:
    error: JsonObject = {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    return {"id": f"batch_req_{line['custom_id']}", "custom_id": line["custom_id"], "response": None, "error": error}


def _json(body: JsonObject) -> Response:
    return Response(to_json(body), media_type="application/json")


def _error(status: int, message: str) -> Response:
    return Response(to_json(responses.problem(message, "invalid_request_error")), status, media_type="application/json")
