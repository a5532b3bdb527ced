"""The HTTP side of the simulator: routes, waiting, silence, and the ledger's pages."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.workers.simulator import responses
from firstline.workers.simulator.batches import Batches
from firstline.workers.simulator.decisions import DECISIONS
from firstline.workers.simulator.engine import Engine, Outcome
from firstline.workers.simulator.formats import CHAT, CONTENTS, MESSAGES, Format
from firstline.workers.simulator.ledger import Ledger
from firstline.workers.simulator.other_batches import ContentBatches, MessageBatches
from firstline.workers.simulator.script import FaultKind, Script


class Calls:
    """Calls in one wire format, as a bare ASGI application: a dropped connection is no response at all."""

    def __init__(self, engine: Engine, ledger: Ledger, form: Format = CHAT) -> None:
        self._engine = engine
        self._ledger = ledger
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        self._ledger.open_call()
        body = _body(await request.body())
        outcome = self._decide(body, str(request.path_params.get("model", "")))
        if self._form is CHAT and outcome.paid is not None and (body or {}).get("stream") is True:
            await self._stream(outcome, body or {}, request, send)
            return
        delivered = await self._wait(outcome, request)
        self._settle(outcome, delivered=delivered)
        if outcome.silence is not None:
            await _break_off(send)
        else:
            await _json(self._form.write(outcome, body or {}), outcome.status, outcome.headers)(scope, receive, send)

    def _decide(self, body: JsonObject | None, model: str) -> Outcome:
        return self._engine.answer(self._form.read(body, model)) if body is not None else Outcome(400, _NOT_JSON)

    async def _wait(self, outcome: Outcome, request: Request) -> bool:
        """Wait as long as the outcome says; return whether the client is still there."""
        if outcome.silence is FaultKind.DROP or outcome.delay_s <= 0:
            return True
        if outcome.silence is FaultKind.HANG:
            with suppress(TimeoutError):
                await asyncio.wait_for(_gone(request.receive), outcome.delay_s)
            return False
        await asyncio.sleep(outcome.delay_s)
        return not await request.is_disconnected()

    async def _stream(self, outcome: Outcome, asked: JsonObject, request: Request, send: Send) -> None:
        """Send an answer token by token over the time that it takes; who goes away meanwhile has it broken off."""
        pieces = responses.chunks(outcome.body, usage=asked.get("stream_options") == {"include_usage": True})
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        delivered = True
        for piece in pieces:
            await asyncio.sleep(outcome.delay_s / len(pieces))
            if not (delivered := not await request.is_disconnected()):
                break
            await send({"type": "http.response.body", "body": b"data: " + to_json(piece) + b"\n\n", "more_body": True})
        self._settle(outcome, delivered=delivered)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def _settle(self, outcome: Outcome, *, delivered: bool) -> None:
        if outcome.fault is not None:
            self._ledger.strike(outcome.model, outcome.fault)
        if outcome.paid is not None:
            self._ledger.charge(outcome.model, delivered=delivered, **outcome.charges())
        self._ledger.close_call(outcome.model, outcome.silence or str(outcome.status))


class Pages:
    """What can be read of the simulator: models, health, log and counts."""

    def __init__(self, script: Script, ledger: Ledger) -> None:
        self._script = script
        self._ledger = ledger

    async def models(self, _: Request) -> Response:
        """List the models that the script names."""
        listed: list[Json] = [
            {"id": name, "object": "model", "created": 0, "owned_by": "simulator"} for name in self._script.models
        ]
        return _json({"object": "list", "data": listed})

    async def health(self, _: Request) -> Response:
        """Say that the server is up."""
        return _json({"status": "ok"})

    async def log(self, request: Request) -> Response:
        """Give the paid calls, from number `since` (0) on."""
        since = request.query_params.get("since", "0")
        return Response(
            to_json(self._ledger.paid[int(since) if since.isdigit() else 0 :]), media_type="application/json"
        )

    async def stats(self, _: Request) -> Response:
        """Give the counts."""
        return _json(self._ledger.stats())


def build_app(script: Script, log: Path | None = None) -> Starlette:
    """Return the ASGI application that plays a script. Raises `UserError` where files it names are missing or wrong."""
    engine, ledger = Engine(script), Ledger(log)
    pages, batches = Pages(script, ledger), Batches(engine, ledger, script.batches)
    messages = MessageBatches(engine, ledger, script.batches)
    contents = ContentBatches(engine, ledger, script.batches)

    async def make_contents(request: Request) -> Response:
        return await contents.create(request, request.path_params["model"])

    routes = [
        Route("/v1/chat/completions", Calls(engine, ledger), methods=["POST"]),
        *messages.routes(),
        Route("/v1/messages", Calls(engine, ledger, MESSAGES), methods=["POST"]),
        *contents.routes(),
        Route("/v1/decisions", Calls(engine, ledger, DECISIONS), methods=["POST"]),
        Route("/v1beta/models/{model}:generateContent", Calls(engine, ledger, CONTENTS), methods=["POST"]),
        Route("/v1beta/models/{model}:batchGenerateContent", make_contents, methods=["POST"]),
        Route("/v1/models", pages.models),
        Route("/health", pages.health),
        Route("/log", pages.log),
        Route("/stats", pages.stats),
        *batches.routes(),
    ]
    return Starlette(routes=routes)


def serve(
    script: Script, *, port: int = 0, log: Path | None = None, ready: Callable[[int], None], host: str = "127.0.0.1"
) -> None:
    """Play a script until interrupted; `ready` is told the port once connections are taken."""
    listener = listen(host, port)
    app = build_app(script, log)
    ready(listener.getsockname()[1])
    uvicorn.Server(server_config(app)).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises `UserError` where the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UserError(
            f"port {port} on {host} cannot be used: {error.strerror}; choose another, or 0 for a free one"
        ) from None
    listener.listen(2048)
    return listener


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Return uvicorn's settings: quiet, since broken connections are played on purpose, and quick to stop."""
    return uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=120,
        timeout_graceful_shutdown=1,
        backlog=2048,
    )


_NOT_JSON: JsonObject = responses.problem("We could not parse the JSON body of your request.", "invalid_request_error")


def _body(raw: bytes) -> JsonObject | None:
    try:
        body = from_json(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _json(body: JsonObject, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(body), status, headers, "application/json")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _break_off(send: Send) -> None:
    """Promise a body and end without it: the server closes the connection."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]}
    await send(start)
