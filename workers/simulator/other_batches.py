"""Batch APIs of Anthropic and Gemini: requests come with the making of a batch, answers some time later."""

import itertools
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firstline.schemas.base import Json, JsonObject
from firstline.workers.simulator import responses
from firstline.workers.simulator.engine import Engine, Outcome
from firstline.workers.simulator.formats import CONTENTS, MESSAGES, Format
from firstline.workers.simulator.ledger import Ledger
from firstline.workers.simulator.script import BatchRule


@dataclass(slots=True)
class Lot:
    """A batch on its way."""

    id: str
    name: str
    model: str
    #: Request by its name.
    requests: dict[str, JsonObject]
    created: float = field(default_factory=time.time)
    #: Body and status by name, once it is worked off; None: it was called off.
    results: dict[str, tuple[int, JsonObject]] | None = None
    cancelled: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.cancelled or self.results is not None


class Lots:
    """Batches in memory; one is worked off when it is first looked at after its turnaround."""

    def __init__(self, engine: Engine, ledger: Ledger, rule: BatchRule, form: Format) -> None:
        self._engine, self._ledger, self._rule, self._form = engine, ledger, rule, form
        self._ids = itertools.count(1)
        self.all: dict[str, Lot] = {}

    def make(self, prefix: str, *, name: str, model: str, requests: dict[str, JsonObject]) -> Lot:
        """Take a batch."""
        lot = Lot(f"{prefix}{next(self._ids)}", name, model, requests)
        self.all[lot.id] = lot
        return lot

    def look(self, lot: Lot) -> Lot:
        """Work a batch off if its time has come."""
        if not lot.ended and time.time() >= lot.created + self._rule.turnaround_s:
            lot.results = {name: self._answer(lot, body) for name, body in lot.requests.items()}
        return lot

    def _answer(self, lot: Lot, body: JsonObject) -> tuple[int, JsonObject]:
        outcome = self._engine.answer(self._form.read(body, lot.model), limited=False)
        if outcome.silence is not None:
            problem = responses.problem("The request could not be completed", "server_error")
            outcome = Outcome(500, problem, model=outcome.model)
        if outcome.paid is not None:
            self._ledger.charge(outcome.model, batch=lot.id, **outcome.charges())
        return outcome.status, self._form.write(outcome, body)


class MessageBatches:
    """Anthropic's `/v1/messages/batches`."""

    def __init__(self, engine: Engine, ledger: Ledger, rule: BatchRule) -> None:
        self._lots = Lots(engine, ledger, rule, MESSAGES)

    def routes(self) -> list[Route]:
        """Return its routes."""
        return [
            Route("/v1/messages/batches", self.create, methods=["POST"]),
            Route("/v1/messages/batches", self.listing),
            Route("/v1/messages/batches/{id}", self.poll),
            Route("/v1/messages/batches/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/messages/batches/{id}/results", self.results),
        ]

    async def create(self, request: Request) -> Response:
        """Take a batch."""
        body = from_json(await request.body())
        requests = {one["custom_id"]: one["params"] for one in body["requests"]}
        lot = self._lots.make("msgbatch_", name="", model="", requests=requests)
        return _json(self._describe(lot, request))

    async def listing(self, request: Request) -> Response:
        """List all batches, newest first."""
        found: list[Json] = [self._describe(self._lots.look(lot), request) for lot in reversed(self._lots.all.values())]
        return _json({"data": found, "has_more": False, "last_id": None})

    async def poll(self, request: Request) -> Response:
        """Describe a batch as it stands."""
        lot = self._lots.all.get(request.path_params["id"])
        return _missing_message() if lot is None else _json(self._describe(self._lots.look(lot), request))

    async def cancel(self, request: Request) -> Response:
        """Cancel a batch that has not ended."""
        lot = self._lots.all.get(request.path_params["id"])
        if lot is None:
            return _missing_message()
        lot.cancelled = lot.cancelled or not self._lots.look(lot).ended
        return _json(self._describe(lot, request))

    async def results(self, request: Request) -> Response:
        """Give a line for each request."""
        lot = self._lots.all.get(request.path_params["id"])
        if lot is None:
            return _missing_message()
        lines = (json.dumps(self._line(lot, name), ensure_ascii=False) for name in lot.requests)
        return Response("\n".join(lines), media_type="application/x-jsonl")

    def _line(self, lot: Lot, name: str) -> JsonObject:
        if lot.results is None:
            return {"custom_id": name, "result": {"type": "canceled"}}
        status, body = lot.results[name]
        done: JsonObject = {"type": "succeeded", "message": body}
        return {"custom_id": name, "result": done if status == 200 else {"type": "errored", "error": body}}

    def _describe(self, lot: Lot, request: Request) -> JsonObject:
        base = str(request.base_url).rstrip("/")
        url = f"{base}/v1/messages/batches/{lot.id}/results" if lot.ended else None
        done = len(lot.requests) if lot.results is not None else 0
        return {
            "id": lot.id,
            "type": "message_batch",
            "processing_status": "ended" if lot.ended else "in_progress",
            "request_counts": {"processing": len(lot.requests) - done, "succeeded": done, "errored": 0},
            "created_at": datetime.fromtimestamp(lot.created, UTC).isoformat(),
            "results_url": url,
        }


class ContentBatches:
    """Gemini's `/v1beta/batches`."""

    def __init__(self, engine: Engine, ledger: Ledger, rule: BatchRule) -> None:
        self._lots = Lots(engine, ledger, rule, CONTENTS)

    def routes(self) -> list[Route]:
        """Return its routes; a batch is made under its model's."""
        return [
            Route("/v1beta/batches", self.listing),
            Route("/v1beta/batches/{id}", self.poll),
            Route("/v1beta/batches/{id}", self.cancel, methods=["POST"]),
        ]

    async def create(self, request: Request, model: str) -> Response:
        """Take a batch for a model."""
        batch = from_json(await request.body())["batch"]
        inline = batch["input_config"]["requests"]["requests"]
        requests = {one["metadata"]["key"]: one["request"] for one in inline}
        lot = self._lots.make("", name=batch["display_name"], model=model, requests=requests)
        return _json(self._describe(lot))

    async def listing(self, _: Request) -> Response:
        """List all batches, newest first."""
        found: list[Json] = [self._describe(self._lots.look(lot)) for lot in reversed(self._lots.all.values())]
        return _json({"operations": found})

    async def poll(self, request: Request) -> Response:
        """Describe a batch as it stands, with its answers where it has ended."""
        lot = self._lots.all.get(request.path_params["id"])
        return _missing_content() if lot is None else _json(self._describe(self._lots.look(lot)))

    async def cancel(self, request: Request) -> Response:
        """Cancel a batch that has not ended."""
        lot = self._lots.all.get(str(request.path_params["id"]).removesuffix(":cancel"))
        if lot is None:
            return _missing_content()
        lot.cancelled = lot.cancelled or not self._lots.look(lot).ended
        return _json({})

    def _describe(self, lot: Lot) -> JsonObject:
        state = "CANCELLED" if lot.cancelled else "SUCCEEDED" if lot.ended else "RUNNING"
        told: JsonObject = {
            "name": f"batches/{lot.id}",
            "metadata": {"displayName": lot.name, "state": f"BATCH_STATE_{state}", "model": f"models/{lot.model}"},
            "done": lot.ended,
        }
        if lot.results is not None:
            answers: list[Json] = [self._answer(name, *lot.results[name]) for name in lot.results]
            told["response"] = {"inlinedResponses": {"inlinedResponses": answers}}
        return told

    def _answer(self, name: str, status: int, body: JsonObject) -> JsonObject:
        kind = "response" if status == 200 else "error"
        return {"metadata": {"key": name}, kind: body if status == 200 else body.get("error")}


def _missing_message() -> Response:
    return _json({"type": "error", "error": {"type": "not_found_error", "message": "no such batch"}}, 404)


def _missing_content() -> Response:
    return _json({"error": {"code": 404, "message": "no such batch", "status": "NOT_FOUND"}}, 404)


def _json(body: JsonObject, status: int = 200) -> Response:
    return Response(to_json(body), status, media_type="application/json")
