"""Reads a chat completion in OpenAI's shape, as litellm returns it for every provider."""

import json
from collections.abc import Mapping
from typing import Any

from json_repair import repair_json

from firstline.schemas.attempt import ErrorKind, TokenLogprob
from firstline.schemas.base import JsonObject
from firstline.workers.providers.gateway import Call, Reply, ToolCall
from firstline.workers.providers.provider_errors import rate_limits


def read_reply(response: Any, call: Call) -> Reply:
    """Return the reply that a response amounts to, without times, tokens and prices."""
    choice = response.choices[0] if response.choices else None
    if choice is None:
        return Reply(error=ErrorKind.EMPTY, detail="the response has no choices")
    message = choice.message
    refusal = _refusal(message)
    text = message.content or refusal or None
    tools = read_tool_calls(message.tool_calls)
    error, detail = _fault(choice.finish_reason, refusal, bool(text or tools))
    return Reply(
        text=text,
        finish_reason=choice.finish_reason,
        logprobs=read_logprobs(getattr(choice, "logprobs", None)) if call.top_logprobs is not None else (),
        tool_calls=tools,
        error=error,
        detail=detail,
        limits=rate_limits(_headers(response)),
    )


def read_logprobs(logprobs: Any) -> tuple[TokenLogprob, ...]:
    """Return the tokens of the answer with their log-probabilities and alternatives."""
    return tuple(
        TokenLogprob.model_construct(
            token=_field(token, "token"),
            logprob=_field(token, "logprob"),
            top=tuple(
                (_field(other, "token"), _field(other, "logprob")) for other in _field(token, "top_logprobs") or ()
            ),
        )
        for token in _field(logprobs, "content") or ()
    )


def read_tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    """Return the tool calls that the model wishes for."""
    return tuple(
        ToolCall(
            str(call.id), str(call.function.name), _arguments(call.function.arguments), call.function.arguments or ""
        )
        for call in calls or ()
    )


def _fault(finish: str | None, refusal: str | None, said: bool) -> tuple[ErrorKind | None, str | None]:
    """Return what is wrong with an answer, whatever was asked."""
    if finish == "content_filter":
        return ErrorKind.CONTENT_FILTER, "the provider's content filter ended the answer"
    if refusal:
        return ErrorKind.REFUSED, f"the model refused: {refusal:.200}"
    if finish == "length":
        return ErrorKind.TRUNCATED, "the answer reached its maximum length; raise `max_tokens` or ask for less"
    return (None, None) if said else (ErrorKind.EMPTY, "the model answered with nothing")


def _refusal(message: Any) -> str | None:
    """Return the refusal, which litellm keeps among the fields of the provider's own."""
    extra = getattr(message, "provider_specific_fields", None)
    found = getattr(message, "refusal", None) or (extra.get("refusal") if isinstance(extra, Mapping) else None)
    return str(found) if found else None


def _arguments(raw: str | None) -> JsonObject:
    try:
        found = json.loads(raw or "{}")
    except ValueError:
        found = repair_json(raw or "", return_objects=True)
    return found if isinstance(found, dict) else {}


def _headers(response: Any) -> Mapping[str, str]:
    hidden = getattr(response, "_hidden_params", None) or {}
    return hidden.get("additional_headers") or {}


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
