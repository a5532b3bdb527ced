"""The Batch APIs of all providers as a worker sees them: calls go in, replies come out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.batches.wire import BatchWire, Progress, Request, Result
from firstline.workers.providers.billing import free
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.provider_errors import failure_of
from firstline.workers.providers.structured_call import read_json, read_text, request_as
from firstline.workers.providers.structured_output import ModeRequest, ask, strict_of

#: Ways to ask for JSON that need no second call.
_MODES = (Structured.JSON_SCHEMA, Structured.JSON_OBJECT, Structured.PROMPT)


class Format(Protocol):
    """How a provider writes down a call and its answer."""

    async def request_of(self, call: Call) -> Request:
        """Return a call as a request of the provider's."""
        ...

    async def reply_of(self, call: Call, body: JsonObject) -> Reply:
        """Return the reply that an answer amounts to, at the price of a batch."""
        ...


@dataclass(frozen=True)
class Provider:
    """One provider's Batch API and the format of what travels in it."""

    wire: BatchWire
    format: Format


@dataclass(frozen=True)
class BatchApi:
    """Chooses the provider by the model's name; errors of the provider are raised as `BatchError`."""

    providers: Mapping[str, Provider]
    #: Everyone else's, in OpenAI's shape.
    other: Provider

    async def requests(self, calls: Mapping[str, Call]) -> dict[str, Request]:
        """Return the requests that calls amount to, each under its name."""
        return {name: await self._of(call.model).format.request_of(_as_asked(call)) for name, call in calls.items()}

    def fits(self, model: Model, requests: Mapping[str, Request]) -> int:
        """Return how many of these requests, in order, one batch of the provider's takes."""
        wire, size = self._of(model).wire, 0
        for place, request in enumerate(requests.values()):
            size += request.size
            if place >= wire.most_requests or size > wire.most_bytes:
                return place
        return len(requests)

    def bears_marks(self, model: Model) -> bool:
        """Say whether the provider's batches bear our mark."""
        return self._of(model).wire.bears_marks

    async def upload(self, model: Model, requests: Mapping[str, Request], *, mark: str) -> str | None:
        """Bring the requests to where a batch is made of them; None where they travel with its making."""
        return await self._of(model).wire.upload(model, requests, mark=mark)

    async def create(self, model: Model, requests: Mapping[str, Request], *, mark: str, uploaded: str | None) -> str:
        """Make a batch; return the provider's name for it."""
        return await self._of(model).wire.create(model, requests, mark=mark, uploaded=uploaded)

    async def marked(self, model: Model, *, mark: str, requests: int, since: datetime) -> Sequence[str]:
        """Return the batches made since then that bear our mark, or may be ours where nothing can bear one."""
        return await self._of(model).wire.marked(model, mark=mark, requests=requests, since=since)

    async def look(self, model: Model, name: str) -> Progress:
        """Return how far a batch is."""
        return await self._of(model).wire.look(model, name)

    async def cancel(self, model: Model, name: str) -> None:
        """Have no more of a batch answered."""
        await self._of(model).wire.cancel(model, name)

    async def answers(self, model: Model, progress: Progress, calls: Mapping[str, Call]) -> dict[str, Reply]:
        """Return the reply to each call that came back, refusals among them; what was never worked on is left out.

        Of two answers to one call the first stands: it was asked once.
        """
        provider = self._of(model)
        found: dict[str, Reply] = {}
        async for result in provider.wire.results(model, progress):
            call = calls.get(result.name)
            if call is not None and result.name not in found and (reply := await _reply(provider, result, call)):
                found[result.name] = reply
        return found

    def _of(self, model: Model) -> Provider:
        return self.providers.get(model.name.partition("/")[0], self.other)


async def _reply(provider: Provider, result: Result, call: Call) -> Reply | None:
    if result.status is None:
        return None
    if result.status != 200:
        failure = failure_of(result.status, json.dumps(result.body or {"error": {"message": result.message}}), {})
        return free(Reply(error=failure.kind, detail=failure.detail))
    try:
        reply = await provider.format.reply_of(_as_asked(call), result.body)
    except Exception as error:
        # One answer in a shape that nobody foresaw must not lose the others.
        return Reply(error=ErrorKind.MALFORMED, detail=f"the answer cannot be read: {type(error).__name__}: {error}")
    return read_text(reply) if call.schema is None else read_json(reply, _asked(call))


def _asked(call: Call) -> ModeRequest:
    """Return how a call asks for JSON: by the model's first way that needs no forced tool."""
    mode = next((mode for mode in call.model.structured if mode in _MODES), Structured.PROMPT)
    return ask(mode, call.messages, call.schema or {}, call.schema_name, strict_of(call.model))


def _as_asked(call: Call) -> Call:
    """Return a call as it is sent, all that asks for JSON in its messages and parameters."""
    return call if call.schema is None else request_as(call, _asked(call))
