"""Reads a chat completion in OpenAI's shape: as litellm returns it for every provider, or as it came over the wire."""

import codecs
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from firstline.schemas.attempt import ErrorKind, TokenLogprob
from firstline.schemas.base import Json, JsonObject
from firstline.workers.providers.gateway import Call, Reply, ToolCall
from firstline.workers.providers.provider_errors import failure_of, rate_limits
from firstline.workers.rules.json_text import printable, read_mended

#: Reasons to finish that say the answer was cut, broken off by the provider, or held back.
_CUT = frozenset({"length", "max_tokens", "model_length", "max_output_tokens", "model_context_window_exceeded"})
_BROKEN_OFF = frozenset(
    {"error", "abort", "aborted", "cancelled", "failed", "engine_error", "server_error", "network_error"}
    | {
        "insufficient_system_resource",
        "malformed_function_call",
        "unexpected_tool_call",
        "malformed_response",
        "timeout",
    }
)
_HELD_BACK = frozenset(
    {
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "sensitive",
    }
    | {"guardrail_intervened", "image_safety", "language"}
)
#: Parts of a message whose content is a list that hold what the model says; others hold its thoughts.
_SAYING = ("text", "output_text")


def read_reply(response: Any, call: Call) -> Reply:
    """Return the reply that a response amounts to, without times, tokens and prices.

    Content that cannot be read is `MALFORMED`: it was paid for all the same.
    """
    blank = Reply(limits=rate_limits(_headers(response)))
    try:
        return _content(response, call, blank)
    except Exception as error:
        detail = f"the provider's answer cannot be read: {type(error).__name__}: {error}"
        return replace(blank, error=ErrorKind.MALFORMED, detail=printable(detail)[:500])


def _content(response: Any, call: Call, blank: Reply) -> Reply:
    choices = _field(response, "choices")
    choice = choices[0] if isinstance(choices, Sequence) and not isinstance(choices, str) and choices else None
    message = _field(choice, "message")
    if choice is None or (message is None and _field(choice, "text") is None):
        absent = "choices" if choice is None else "a message"
        return replace(blank, error=ErrorKind.SERVER, detail=f"the provider answered without {absent}")
    if (error := _field(choice, "error")) and isinstance(error, Mapping):
        failure = failure_of(200, _json({"error": dict(error)}), {})
        return replace(blank, error=failure.kind, detail=failure.detail, retry_after_s=failure.retry_after_s)
    refusal = _refusal(message)
    text = printable(_text(_field(message, "content")) or refusal or "") or None
    tools = read_tool_calls(_field(message, "tool_calls"))
    finish = _finish(choice)
    kind, detail = _fault(finish, refusal, text, tools, message)
    wants_logprobs = call.top_logprobs is not None and text is not None
    return replace(
        blank,
        text=text,
        finish_reason=finish,
        logprobs=read_logprobs(_field(choice, "logprobs"), text or "") if wants_logprobs else (),
        tool_calls=tools,
        message=_whole(message, tools) if tools else None,
        error=kind,
        detail=detail,
    )


def read_logprobs(logprobs: Any, text: str) -> tuple[TokenLogprob, ...]:
    """Return the tokens of the answer with their log-probabilities and alternatives; what is no number is None.

    A character that is spread over several tokens stands in the last of them, where their bytes are told. Of what
    cannot be read there are none: the answer beside it is an answer all the same.
    """
    try:
        return _tokens(logprobs, text)
    except (TypeError, ValueError, AttributeError, KeyError):
        return ()


def _tokens(logprobs: Any, text: str) -> tuple[TokenLogprob, ...]:
    listed = _field(logprobs, "content")
    tokens = [token for token in listed if isinstance(token, Mapping) or hasattr(token, "token")] if listed else []
    words = [str(_field(token, "token") or "") for token in tokens]
    if "".join(words) != text:
        words = _from_bytes(tokens) or words
    return tuple(
        TokenLogprob.model_construct(
            token=word,
            logprob=_probability(token),
            top=tuple(
                (str(_field(other, "token")), _probability(other)) for other in _field(token, "top_logprobs") or ()
            ),
        )
        for word, token in zip(words, tokens, strict=True)
    )


def read_tool_calls(calls: Any) -> tuple[ToolCall, ...]:
    """Return the tool calls that the model wishes for; arguments that are no JSON object are empty, `raw` has them."""
    return tuple(_tool_call(place, call) for place, call in enumerate(calls or ()))


def _tool_call(place: int, call: Any) -> ToolCall:
    function = _field(call, "function")
    raw = _field(function, "arguments")
    written = printable(raw) if isinstance(raw, str) else _json(raw or {})
    return ToolCall(
        str(_field(call, "id") or f"call{place:03d}"), str(_field(function, "name") or ""), _arguments(written), written
    )


def _arguments(raw: str) -> JsonObject:
    try:
        found = read_mended(raw.strip() or "{}").value
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _finish(choice: Any) -> str | None:
    """Return why the model stopped: the provider's own word, which litellm turns into `stop`, where there is one."""
    extra = _field(choice, "provider_specific_fields")
    own = extra.get("native_finish_reason") if isinstance(extra, Mapping) else None
    said = _field(choice, "native_finish_reason") or own
    found = _field(choice, "finish_reason")
    told = found if isinstance(found, str) else None
    return str(said) if isinstance(said, str) and _normal(said) in _CUT | _BROKEN_OFF | _HELD_BACK else told


def _fault(
    finish: str | None, refusal: str | None, text: str | None, tools: Sequence[ToolCall], message: Any
) -> tuple[ErrorKind | None, str | None]:
    """Return what is wrong with an answer, whatever was asked."""
    reason = _normal(finish or "")
    if reason in _HELD_BACK:
        return ErrorKind.CONTENT_FILTER, f"the provider's content filter ended the answer ({reason})"
    if reason in _BROKEN_OFF:
        return ErrorKind.SERVER, f"the provider broke the answer off ({reason})"
    if refusal or reason == "refusal":
        return ErrorKind.REFUSED, f"the model refused: {refusal or text or '':.200}"
    thought = bool(_field(message, "reasoning_content") or _field(message, "reasoning"))
    if reason in _CUT:
        used = "its thoughts used up all tokens" if thought and not text else "the answer reached its maximum length"
        return ErrorKind.TRUNCATED, f"{used}; raise `max_tokens` or ask for less"
    if text or tools:
        return None, None
    return (
        ErrorKind.EMPTY,
        "the model thought, and answered with nothing" if thought else "the model answered with nothing",
    )


def _refusal(message: Any) -> str | None:
    """Return the refusal, which litellm keeps among the fields of the provider's own."""
    extra = _field(message, "provider_specific_fields")
    found = _field(message, "refusal") or (extra.get("refusal") if isinstance(extra, Mapping) else None)
    return str(found) if found else None


def _text(content: Any) -> str:
    """Return what a message says: its text, or the texts among its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    return "".join(part if isinstance(part, str) else _part(part) for part in parts)


def _part(part: Any) -> str:
    kind, text = _field(part, "type"), _field(part, "text")
    return text if isinstance(text, str) and kind in (*_SAYING, None) else ""


def _whole(message: Any, tools: Sequence[ToolCall]) -> JsonObject:
    """Return a model's message with tool calls as it is to be sent back: with its thoughts, signatures and ids.

    Providers refuse the next round without them: Anthropic's thinking, Gemini's signatures, DeepSeek's reasoning.
    """
    told_calls = _field(message, "tool_calls") or ()
    calls: list[Json] = [_sent_back(told, call) for told, call in zip(told_calls, tools, strict=True)]
    kept: JsonObject = {"role": "assistant", "content": _text(_field(message, "content")) or None, "tool_calls": calls}
    extra = _plain(_field(message, "provider_specific_fields"))
    told = extra if isinstance(extra, dict) else {}
    if told.get("thought_signatures"):
        kept["provider_specific_fields"] = told
    for name in _THOUGHTS:
        if thoughts := _plain(_field(message, name)) or told.get(name):
            kept[name] = thoughts
    return kept


_THOUGHTS = ("thinking_blocks", "reasoning_content", "reasoning_details", "reasoning_items")


def _sent_back(told: Any, call: ToolCall) -> JsonObject:
    arguments = call.raw if call.arguments or call.raw.strip() in ("", "{}") else "{}"
    sent: JsonObject = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments or "{}"},
    }
    if own := _plain(_field(told, "provider_specific_fields")):
        sent["provider_specific_fields"] = own
    return sent


def _from_bytes(tokens: Sequence[Any]) -> list[str] | None:
    """Return the tokens' texts from their bytes, each character in the token that completes it; None without bytes."""
    decoder, words = codecs.getincrementaldecoder("utf-8")(), []
    for token in tokens:
        told = _field(token, "bytes")
        if not isinstance(told, Sequence) or isinstance(told, str):
            return None
        try:
            words.append(decoder.decode(bytes(told)))
        except (ValueError, TypeError):
            return None
    return words


def _probability(token: Any) -> float | None:
    found = _field(token, "logprob")
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if is_number else None


def _headers(response: Any) -> Mapping[str, str]:
    hidden = getattr(response, "_hidden_params", None) or {}
    return hidden.get("additional_headers") or {}


def _normal(reason: str) -> str:
    return reason.strip().lower().replace("-", "_").replace(" ", "_")


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _plain(value: Any) -> Any:
    """Return a part of litellm's as JSON: its models as dicts."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items() if part is not None}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
