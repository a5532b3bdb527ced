"""Other providers' wire formats: their requests read as chat completions, the answers written as they write them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firstline.schemas.base import Json, JsonObject
from firstline.workers.simulator.engine import Outcome
from firstline.workers.simulator.tokens import message_text


@dataclass(frozen=True, slots=True)
class Format:
    """One provider's way to write down a call and its answer."""

    #: Returns a request as a chat completion; the model is named by the URL where it is not in the body.
    read: Callable[[JsonObject, str], JsonObject]
    #: Returns the body of an answer or of an error, for the request that it answers.
    write: Callable[[Outcome, JsonObject], JsonObject]


def _same(body: JsonObject, _: str) -> JsonObject:
    return body


#: OpenAI's own.
CHAT = Format(_same, lambda outcome, _: outcome.body)

# Anthropic's Messages -------------------------------------------------------------------------------------------------

_STOPS = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def _read_messages(body: JsonObject, _: str) -> JsonObject:
    system: list[Json] = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    said: list[Json] = [
        {"role": message.get("role"), "content": _texts(message)} for message in _dicts(body.get("messages"))
    ]
    chat: JsonObject = {"model": body.get("model"), "messages": [*system, *said], "max_tokens": body.get("max_tokens")}
    # Nothing is kept but what is marked.
    chat["prompt_cache_options"] = {"mode": "explicit"}
    match body:
        case {"output_format": {"schema": dict() as schema}} | {
            "output_config": {"format": {"schema": dict() as schema}}
        }:
            chat["response_format"] = _schema_format(schema)
    if tools := _dicts(body.get("tools")):
        chat["tools"] = [
            {"type": "function", "function": {"name": tool.get("name"), "parameters": tool.get("input_schema")}}
            for tool in tools
        ]
    match body.get("tool_choice"):
        case {"type": "tool", "name": str() as name}:
            chat["tool_choice"] = {"type": "function", "function": {"name": name}}
    return chat


def _write_message(outcome: Outcome, _: JsonObject) -> JsonObject:
    if outcome.status != 200:
        kind = _ERRORS.get(outcome.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": _message_of(outcome)}}
    choice, usage = _choice(outcome), _usage(outcome)
    message = choice["message"]
    content: list[Json] = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls") or ():
        function = call["function"]
        content.append(
            {"type": "tool_use", "id": call["id"], "name": function["name"], "input": json.loads(function["arguments"])}
        )
    details = usage["prompt_tokens_details"]
    cached, written = details["cached_tokens"], details.get("cache_write_tokens", 0)
    return {
        "id": outcome.body["id"],
        "type": "message",
        "role": "assistant",
        "model": outcome.model,
        "content": content,
        "stop_reason": _STOPS.get(str(choice["finish_reason"]), "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage["prompt_tokens"] - cached - written,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written,
            "output_tokens": usage["completion_tokens"],
        },
    }


MESSAGES = Format(_read_messages, _write_message)

# Gemini's generateContent ---------------------------------------------------------------------------------------------

_FINISHES = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _read_contents(body: JsonObject, model: str) -> JsonObject:
    system = body.get("system_instruction") or body.get("systemInstruction")
    said: list[Json] = [{"role": "system", "content": _text_of(system)}] if isinstance(system, dict) else []
    for content in _dicts(body.get("contents")):
        role = "assistant" if content.get("role") == "model" else "user"
        said.append({"role": role, "content": _text_of(content)})
    config = body.get("generationConfig") or body.get("generation_config") or {}
    chat: JsonObject = {"model": model, "messages": said, "service_tier": body.get("serviceTier")}
    if isinstance(config, dict):
        chat["max_tokens"] = config.get("max_output_tokens") or config.get("maxOutputTokens")
        named = ("response_json_schema", "responseJsonSchema", "response_schema", "responseSchema")
        schema = next((config[name] for name in named if isinstance(config.get(name), dict)), None)
        if isinstance(schema, dict):
            chat["response_format"] = _schema_format(schema)
    return chat


def _write_content(outcome: Outcome, _: JsonObject) -> JsonObject:
    if outcome.status != 200:
        status = _STATUSES.get(outcome.status, "INTERNAL")
        return {"error": {"code": outcome.status, "message": _message_of(outcome), "status": status}}
    choice, usage = _choice(outcome), _usage(outcome)
    content: JsonObject = {"role": "model", "parts": [{"text": choice["message"].get("content") or ""}]}
    finish = _FINISHES.get(str(choice["finish_reason"]), "STOP")
    return {
        "candidates": [{"content": content, "finishReason": finish, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": usage["prompt_tokens"],
            "cachedContentTokenCount": usage["prompt_tokens_details"]["cached_tokens"],
            "candidatesTokenCount": usage["completion_tokens"],
            "totalTokenCount": usage["total_tokens"],
        },
        "modelVersion": outcome.model,
        "responseId": outcome.body["id"],
    }


CONTENTS = Format(_read_contents, _write_content)


def _texts(message: JsonObject) -> Json:
    """Return a message's text, or its parts where one of them is marked for the cache."""
    content = message.get("content")
    is_marked = isinstance(content, list) and any(
        isinstance(part, dict) and "cache_control" in part for part in content
    )
    return content if is_marked else message_text(message)


def _text_of(content: JsonObject) -> str:
    return "".join(str(part.get("text", "")) for part in _dicts(content.get("parts")))


def _schema_format(schema: JsonObject) -> JsonObject:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _choice(outcome: Outcome) -> Any:
    return outcome.body["choices"][0]  # type: ignore[index] # written by `responses.completion`


def _usage(outcome: Outcome) -> Any:
    empty: JsonObject = {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    return outcome.body.get("usage") or empty


def _message_of(outcome: Outcome) -> str:
    error = outcome.body.get("error")
    return str(error.get("message") if isinstance(error, dict) else error)


def _dicts(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
