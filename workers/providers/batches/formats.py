"""How calls and answers are written down in a batch: in OpenAI's shape, or in a provider's own as litellm writes it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Lane
from firstline.workers.providers.batches.wire import Request
from firstline.workers.providers.billing import booked
from firstline.workers.providers.cache_marks import marked
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.own_words import in_own_words
from firstline.workers.providers.response_parser import read_reply


class OpenAIFormat:
    """Chat completions."""

    async def request_of(self, call: Call) -> Request:
        """Return the body of a chat completion."""
        messages, cache = marked(call)
        params: JsonObject = {**cache, **call.model.params, **call.params}
        if call.top_logprobs is not None:
            params |= {"logprobs": True, "top_logprobs": call.top_logprobs or None}
        name = call.model.name.partition("/")[2] or call.model.name
        body: JsonObject = {"model": name, "messages": [*messages], **params}
        return Request({field: value for field, value in body.items() if value is not None})

    async def reply_of(self, call: Call, body: JsonObject) -> Reply:
        """Return the reply that a chat completion amounts to, at the price of a batch."""
        return booked(read_reply(body, call), body, call.model, lane=Lane.BATCH)


class Offline(httpx.AsyncBaseTransport):
    """Sends nothing: keeps the request, and gives the answer that it was made with."""

    def __init__(self, answer: JsonObject) -> None:
        self.answer = answer
        self.request: httpx.Request | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer."""
        await request.aread()
        self.request = request
        return httpx.Response(200, json=self.answer, request=request)


@dataclass(frozen=True)
class OwnFormat:
    """A provider's own format, written and read by litellm as for a call that is made at once."""

    #: Makes a call through a transport, and returns litellm's response to it.
    through: Callable[[Call, Offline], Awaitable[Any]]
    #: Headers that belong to a request rather than to its key.
    headers: tuple[str, ...] = ()

    async def request_of(self, call: Call) -> Request:
        """Return the body that a call would be sent with."""
        offline = Offline({})
        try:
            await self.through(call, offline)
        except Exception:
            # The empty answer could not be read, which nobody wants.
            if offline.request is None:
                raise
        request = offline.request
        if request is None:
            raise RuntimeError(f"litellm sent no request for {call.model.name}")
        body = httpx.Response(200, content=request.content).json()
        kept = {name: request.headers[name] for name in self.headers if name in request.headers}
        return Request(body, kept)

    async def reply_of(self, call: Call, body: JsonObject) -> Reply:
        """Return the reply that an answer amounts to, at the price of a batch."""
        response = await self.through(call, Offline(body))
        reply = booked(read_reply(response, call), response, call.model, lane=Lane.BATCH)
        return in_own_words(reply, body, call, lane=Lane.BATCH)
