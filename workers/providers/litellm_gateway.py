"""The one file that knows litellm: calls become its requests, its responses and errors become replies."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from firstline.config.providers.secrets import revealed, secret
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Structured
from firstline.workers.providers.batches import anthropic, gemini
from firstline.workers.providers.batches.api import BatchApi, Provider
from firstline.workers.providers.batches.formats import Offline, OpenAIFormat, OwnFormat
from firstline.workers.providers.batches.openai import OpenAIBatches
from firstline.workers.providers.batches.transport import BatchHttp
from firstline.workers.providers.billing import asked_on, booked, free
from firstline.workers.providers.cache_marks import marked
from firstline.workers.providers.decisions import billed, read_decisions, request_of
from firstline.workers.providers.gateway import Call, PassError, Reply
from firstline.workers.providers.mode_memory import ModeMemory
from firstline.workers.providers.own_words import in_own_words
from firstline.workers.providers.response_parser import read_reply
from firstline.workers.providers.structured_call import ask_for_json, read_text
from firstline.workers.providers.unanswered import reply_without_litellm
from firstline.workers.providers.wire import Wire, listening, tap
from firstline.workers.rules.closed_answers import undecidable

#: litellm starts its own timers with this much more than ours, so that ours decides.
_GRACE_S = 5.0

#: Servers that want no key get one all the same: without it litellm would send the one of OPENAI_API_KEY there.
_NO_KEY = "none"

#: Seconds that a key is kept before its environment variable or file is looked up again.
_KEY_KEPT_S = 10.0

#: Providers of which litellm does nothing but put a request together before it sends it: their key comes with the call,
#: where others may have to fetch a token.
_NEVER_WAIT = frozenset(
    (
        "anthropic",
        "deepseek",
        "fireworks_ai",
        "groq",
        "hosted_vllm",
        "mistral",
        "openai",
        "openrouter",
        "together_ai",
        "xai",
    )
)

_OFFLINE = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_BLOG_POSTS")

#: Concurrency is the tiers' matter: calls must not queue for a connection while their timeout runs.
_CONNECTIONS = ("AIOHTTP_CONNECTOR_LIMIT", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST")


def load() -> "LitellmGateway":
    """Import litellm, which takes seconds, with all off that talks, calls home or tries again; return the gateway.

    Call it once, at worker start, in the process that makes the calls.
    """
    for name in _OFFLINE:
        os.environ[name] = "True"
    for name in _CONNECTIONS:
        os.environ.setdefault(name, "4000")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import httpx
    import litellm

    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
        logging.getLogger(name).setLevel(logging.CRITICAL if name.startswith("LiteLLM") else logging.WARNING)
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.num_retries = 0
    for callbacks in ("callbacks", "success_callback", "failure_callback", "input_callback"):
        setattr(litellm, callbacks, [])
    _leave_prices_to_us()
    tap(httpx.AsyncClient)
    return LitellmGateway(litellm)


class LitellmGateway:
    """Answers calls through litellm, on one asyncio loop; made by `load`."""

    def __init__(self, litellm: Any) -> None:
        self._litellm = litellm
        self._models = _KnownModels(litellm)
        self._keys = _Keys()
        #: Which ways to ask for JSON the endpoints take.
        self.modes = ModeMemory(can=self._can)
        self._unlogged = _unlogged()
        #: The providers' Batch APIs.
        self.batch_api = self._batch_api()

    async def call(self, call: Call, /) -> Reply:
        """Answer one call; failures are replies with `error` set, only cancellation raises."""
        if call.model.decides:
            return await self._decide(call)
        if call.schema is not None:
            return await ask_for_json(call, self._send, self.modes)
        return read_text(await self._send(call))

    async def pass_on(self, call: Call, *, key: str | None = None, stream: bool = False) -> Any:
        """Send a call as it came; return litellm's response, or its chunks as they come.

        `key`: the caller's own, in place of the model's. PassError: what the provider said instead of an answer.
        """
        key = key or self._keys.of(call.model)
        self._models.announce(call.model)
        with listening() as wire:
            try:
                with self._unlogged():
                    async with asyncio.timeout(call.timeout_s):
                        return await self._litellm.acompletion(**_request(call, key), stream=stream or None)
            except Exception as error:
                reply = reply_without_litellm(error, wire, call, key)
                status = wire.status or (
                    400 if reply.error is ErrorKind.BAD_REQUEST else getattr(error, "status_code", None)
                )
                raise PassError(reply, status) from error

    def bill(self, response: Any, call: Call) -> Reply:
        """Return the reply in a response that was passed on, or in the list of its chunks, and what it cost."""
        whole = self._litellm.stream_chunk_builder(response) if isinstance(response, list) else response
        return booked(read_reply(whole, call), whole, call.model, unsaid=asked_on(call))

    def takes(self, model: Model, names: Collection[str]) -> list[str]:
        """Return which of these parameters a model's provider knows; the others would be dropped."""
        known = _quietly(lambda: self._litellm.get_supported_openai_params(model=model.name))
        return sorted(names) if known is None else sorted(set(names) & {*known, *_ALWAYS_TAKEN})

    def never_waits(self, work: Callable[..., Any], /) -> bool:
        """Say whether litellm's `work` for a thread is only to put a request together.

        The switch to a thread and back would be nearly a tenth of a call's CPU.
        """
        match work:
            case partial(args=(partial(func=prepare, keywords={"model": str(model), **more}), *_)):
                # A model's parameters may name another provider than its name does.
                provider = more.get("custom_llm_provider") or model.partition("/")[0]
                return prepare is self._litellm.main.completion and provider in _NEVER_WAIT
            case _:
                return False

    async def _decide(self, call: Call) -> Reply:
        """Ask a decision model for the closed fields of an answer."""
        reason = "a decision model writes no text" if call.schema is None else undecidable(call.schema)
        if reason is not None:
            return free(Reply(error=ErrorKind.BAD_REQUEST, detail=reason))
        return await self._send(call)

    async def _send(self, call: Call) -> Reply:
        started = time.perf_counter()
        key = self._keys.of(call.model)
        if key is None and call.model.api_key_env is not None:
            detail = f"no key: expected it in the environment variable {call.model.api_key_env} of the workers"
            return free(Reply(error=ErrorKind.NO_KEY, detail=detail))
        self._models.announce(call.model)
        with listening() as wire:
            try:
                # Within this context litellm leaves the logging of a call to its caller: a fifth of its CPU per call.
                with self._unlogged():
                    async with asyncio.timeout(call.timeout_s):
                        response = await self._ask(call, key)
            except Exception as error:
                reply = reply_without_litellm(error, wire, call, key)
            else:
                reply = self._read(response, wire, call, key)
        return replace(reply, latency_s=time.perf_counter() - started)

    def _ask(self, call: Call, key: str | None) -> Awaitable[Any]:
        if call.model.decides:
            asked = {**request_of(call), **_connection(call, key), "timeout": call.timeout_s + _GRACE_S}
            return self._litellm.adecisions(model=call.model.name, **asked)  # type: ignore[no-any-return]
        return self._litellm.acompletion(**_request(call, key))  # type: ignore[no-any-return]

    def _read(self, response: Any, wire: Wire, call: Call, key: str | None) -> Reply:
        """Return the reply in a response, its tokens and dollars with it whatever its content is."""
        if response is None:
            return reply_without_litellm(None, wire, call, key)
        if call.model.decides:
            body = response.model_dump()
            return booked(read_decisions(body, call), billed(body), call.model)
        reply = booked(read_reply(response, call), response, call.model, unsaid=asked_on(call))
        return reply if reply.error is None else in_own_words(reply, wire.json, call)

    def _batch_api(self) -> BatchApi:
        key_of = self._keys.of
        messages = anthropic.AnthropicBatches(BatchHttp(key_of, anthropic.key_headers))
        contents = gemini.GeminiBatches(BatchHttp(key_of, gemini.key_headers))
        files = OpenAIBatches(self._litellm, key_of, self._refused)
        return BatchApi(
            {
                "anthropic": Provider(messages, OwnFormat(self._through, (anthropic.BETA,))),
                "gemini": Provider(contents, OwnFormat(self._through)),
            },
            other=Provider(files, OpenAIFormat()),
        )

    async def _through(self, call: Call, offline: Offline) -> Any:
        """Make a call through a transport that sends nothing; return litellm's response."""
        import httpx
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        handler = AsyncHTTPHandler()
        handler.client = httpx.AsyncClient(transport=offline)
        self._models.announce(call.model)
        with self._unlogged():
            return await self._litellm.acompletion(**_request(call, _NO_KEY), client=handler)

    def _refused(self, error: Exception, model: Model) -> Reply:
        return reply_without_litellm(error, Wire(), Call(model, ()), self._keys.of(model))

    def _can(self, model: Model, rung: Structured) -> bool:
        """Say whether litellm believes that a model takes a rung; one's own endpoint or a new model is just tried."""
        if model.api_base is not None or not self._models.knows(model):
            return True
        match rung:
            case Structured.JSON_SCHEMA:
                return bool(_quietly(lambda: self._litellm.supports_response_schema(model=model.name)))
            case Structured.TOOL_CALL:
                return bool(_quietly(lambda: self._litellm.supports_function_calling(model=model.name)))
            case _:
                return True


#: Parameters that litellm itself sees to, or that every provider bears.
_ALWAYS_TAKEN = ("stream", "stream_options", "user", "metadata", "n")


def _request(call: Call, key: str | None) -> dict[str, Any]:
    """Return the arguments of `litellm.acompletion`."""
    messages, cache = marked(call)
    request: dict[str, Any] = {
        **cache,
        **_revealed(call.model.params),
        **call.params,
        "model": call.model.name,
        "messages": messages,
        "timeout": call.timeout_s + _GRACE_S,
        "max_retries": 0,
        "num_retries": 0,
    }
    if call.tools:
        request["tools"] = list(call.tools)
    if call.top_logprobs is not None:
        request["logprobs"] = True
        request["top_logprobs"] = call.top_logprobs or None
    request |= _connection(call, key)
    return {name: value for name, value in request.items() if value is not None}


def _connection(call: Call, key: str | None) -> dict[str, Any]:
    base = {} if call.model.api_base is None else {"api_base": call.model.api_base}
    return base if key is None and not base else {**base, "api_key": key or _NO_KEY}


def _revealed(params: Mapping[str, Any]) -> dict[str, Any]:
    found = revealed(dict(params))
    assert isinstance(found, dict)
    return found


class _KnownModels:
    """litellm's map of models; what they cost is looked up in `config.providers.prices`."""

    def __init__(self, litellm: Any) -> None:
        self._litellm = litellm
        self._map: dict[str, dict[str, Any]] = litellm.model_cost
        self._announced: set[str] = set()
        self._known: dict[str, bool] = {}

    def knows(self, model: Model) -> bool:
        """Say whether the map lists the model, as it was before anything was announced."""
        name = model.name
        if name not in self._known:
            self._known[name] = name in self._map or name.partition("/")[2] in self._map
        return self._known[name]

    def announce(self, model: Model) -> None:
        """Tell litellm of a model that it does not know: it would search its map at length on every call."""
        if model.name in self._announced:
            return
        self._announced.add(model.name)
        if not self.knows(model) and "/" in model.name:
            provider = model.name.partition("/")[0]
            described = {
                "litellm_provider": provider,
                "mode": "chat",
                "input_cost_per_token": 0,
                "output_cost_per_token": 0,
            }
            _quietly(lambda: self._litellm.register_model({model.name: described}))


class _Keys:
    """Keys of models, looked up where `firstline.config.providers.secrets` finds them and kept for a few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, str | None]] = {}

    def of(self, model: Model) -> str | None:
        """Return the model's key; None where it names none or there is none."""
        if model.api_key_env is None:
            return None
        kept = self._kept.get(model.api_key_env)
        if kept is None or kept[0] < self._clock():
            kept = self._kept[model.api_key_env] = (self._clock() + _KEY_KEPT_S, secret(model.api_key_env))
        return kept[1]


def _unlogged() -> Callable[[], AbstractContextManager[None]]:
    try:
        from litellm._internal_context import internal_sub_call
    except ImportError:  # a version of litellm without it only takes longer
        return nullcontext
    return internal_sub_call


def _leave_prices_to_us() -> None:
    """Keep litellm from working out what each answer cost, which nobody asks it: a fifth of its CPU per call."""
    with suppress(ImportError, AttributeError):  # a version of litellm without it only takes longer
        from litellm.litellm_core_utils.litellm_logging import Logging

        if callable(Logging.response_cost_calculator):
            Logging.response_cost_calculator = lambda *_, **__: None  # type: ignore[method-assign]


def _quietly(ask: Callable[[], Any]) -> Any:
    """Ask litellm about a model; what it does not know it raises."""
    try:
        return ask()
    except Exception:
        return None
