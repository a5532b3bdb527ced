"""The formats that calls of chat models are recorded in: each line is told by what it holds, not by its file's name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from firstline.schemas.base import Json, JsonObject


@dataclass(frozen=True)
class RecordedCall:
    """A request as it was sent, and the text that came back."""

    request: JsonObject
    answer: str
    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Half:
    """A request, an answer, or both, as one line tells of them."""

    id: str = ""
    request: JsonObject | None = None
    #: A chat completion, or a message.
    answer: JsonObject | None = None
    cost_usd: float | None = None
    at: datetime | None = None

    def joined(self, answer: "Half") -> "Half":
        """Return this request with the answer of another line."""
        return replace(self, answer=answer.answer, cost_usd=answer.cost_usd, at=answer.at or self.at)

    def whole(self) -> RecordedCall | str:
        """Return the call, or why there is none."""
        request, answer = self.request or {}, self.answer or {}
        messages = request.get("messages")
        if not isinstance(messages, list) or not all(isinstance(one, dict) and one.get("role") for one in messages):
            return "a request without its messages"
        message: Any = _first(answer.get("choices"), "message") or answer
        text = _text(message.get("content"))
        if not text.strip() and not message.get("tool_calls"):
            return "an answer without text"
        usage: Any = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}
        return RecordedCall(
            request=request,
            answer=text,
            model=str(answer.get("model") or request.get("model") or ""),
            input_tokens=_int(usage.get("prompt_tokens")),
            output_tokens=_int(usage.get("completion_tokens")),
            cost_usd=self.cost_usd,
            at=self.at or _time(answer.get("created")),
        )


def halves_in(value: Any) -> list[Half]:  # noqa: PLR0911 - a return for each format
    """Return what a JSON value of a log tells; nothing where it is of no known format."""
    match value:
        case {"resourceSpans": list() as spans}:
            return [half for span in _spans(spans) if (half := _of_span(span)) is not None]
        case {"custom_id": name, "body": dict() as body}:
            return [Half(str(name), request=body)]
        case {"custom_id": name, "response": {"body": dict() as body}}:
            return [Half(str(name), answer=body)]
        case {"request": dict() as request, "response": dict() as response}:
            return [Half(request=_body(request), answer=_body(response), at=_time(value.get("at")))]
        case {"call_type": _, "spend": _}:
            return [_of_litellm(value)]
        case {"type": "GENERATION"}:
            return [_of_langfuse(value)]
        case {"observations": list() as observations}:
            return [half for one in observations for half in halves_in(one)]
        case {"messages": list(), "response": dict() as response}:
            return [Half(request={k: v for k, v in value.items() if k != "response"}, answer=_body(response))]
    return []


def _body(value: JsonObject) -> JsonObject:
    inner = value.get("body")
    return inner if isinstance(inner, dict) else value


def _of_litellm(row: JsonObject) -> Half:
    asked = _loaded(row.get("proxy_server_request"))
    request = dict(_body(asked)) if isinstance(asked, dict) else {}
    messages = _loaded(row.get("messages"))
    if isinstance(messages, list):
        request["messages"] = messages
    answer = _loaded(row.get("response"))
    known = dict(answer) if isinstance(answer, dict) else {}
    known.setdefault("model", row.get("model"))
    known.setdefault(
        "usage", {"prompt_tokens": row.get("prompt_tokens"), "completion_tokens": row.get("completion_tokens")}
    )
    return Half(request=request, answer=known, cost_usd=_float(row.get("spend")), at=_time(row.get("startTime")))


def _of_langfuse(row: JsonObject) -> Half:
    asked = _loaded(row.get("input"))
    request: JsonObject = dict(asked) if isinstance(asked, dict) and "messages" in asked else {"messages": asked}
    params = _loaded(row.get("modelParameters"))
    if isinstance(params, dict):
        request = {**{name: value for name, value in params.items() if value is not None}, **request}
    said = _loaded(row.get("output"))
    answer: JsonObject = dict(said) if isinstance(said, dict) and ("content" in said or "choices" in said) else {
        "content": said if isinstance(said, str) else json.dumps(said, ensure_ascii=False) if said is not None else ""
    }  # fmt: skip
    usage: Any = row.get("usageDetails") or row.get("usage") or {}
    return Half(
        request=request,
        answer={
            **answer,
            "model": row.get("model"),
            "usage": {"prompt_tokens": usage.get("input"), "completion_tokens": usage.get("output")},
        },
        cost_usd=_float(row.get("calculatedTotalCost")) or _float(row.get("totalCost")),
        at=_time(row.get("startTime")),
    )


# OpenTelemetry's semantic conventions for generative AI -------------------------------------------------------------

_PARAMS = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens", "seed": "seed"}


def _spans(groups: list[Json]) -> Iterator[JsonObject]:
    for group in _dicts(groups):
        for scope in _dicts(group.get("scopeSpans")):
            yield from _dicts(scope.get("spans"))


def _of_span(span: JsonObject) -> Half | None:
    told = {str(one.get("key")): _otlp(one.get("value")) for one in _dicts(span.get("attributes"))}
    if told.get("gen_ai.operation.name") != "chat":
        return None
    instructions = _loaded(told.get("gen_ai.system_instructions"))
    system: list[JsonObject] = [{"role": "system", "parts": instructions}] if instructions is not None else []
    asked = _loaded(told.get("gen_ai.input.messages"))
    messages: list[Json] = [_turn(one) for one in [*system, *_dicts(asked)]]
    said = _dicts(_loaded(told.get("gen_ai.output.messages")))
    request: JsonObject = {
        name: told[f"gen_ai.request.{key}"] for name, key in _PARAMS.items() if f"gen_ai.request.{key}" in told
    }
    schema = _loaded(told.get("gen_ai.request.response_format"))
    form: JsonObject = {"response_format": schema} if isinstance(schema, dict) else {}
    started = _int(span.get("startTimeUnixNano"))
    return Half(
        request={**request, **form, "messages": messages, "model": told.get("gen_ai.request.model")},
        answer={
            "content": _turn(said[0])["content"] if said else "",
            "model": told.get("gen_ai.response.model") or told.get("gen_ai.request.model"),
            "usage": {
                "prompt_tokens": told.get("gen_ai.usage.input_tokens"),
                "completion_tokens": told.get("gen_ai.usage.output_tokens"),
            },
        },
        at=datetime.fromtimestamp(started / 1e9, UTC) if started else None,
    )


def _turn(message: JsonObject) -> JsonObject:
    parts = _dicts(message.get("parts"))
    texts = [str(part.get("content") or "") for part in parts if part.get("type") == "text"]
    return {"role": message.get("role"), "content": "\n".join(texts) if parts else message.get("content")}


def _otlp(value: Json) -> Json:
    match value:
        case {"stringValue": str() as text}:
            return text
        case {"intValue": number}:
            return _int(number)
        case {"doubleValue": number}:
            return _float(number)
        case {"boolValue": bool() as truth}:
            return truth
    return None


# What stands in fields ----------------------------------------------------------------------------------------------


def _loaded(value: Json) -> Json:
    """Return the value of a text that is JSON, and any other as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found: Json = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found


def _dicts(value: Json) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _first(value: Json, name: str) -> JsonObject | None:
    found = _dicts(value)
    inner = found[0].get(name) if found else None
    return inner if isinstance(inner, dict) else None


def _text(content: Json) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or "") for part in _dicts(content))


def _int(value: Json) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: Json) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
