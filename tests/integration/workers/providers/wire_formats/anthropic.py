"""Anthropic's Messages (platform.claude.com/docs/en/api/messages)."""

from typing import Any

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Structured
from tests.integration.workers.providers.canned import Response
from tests.integration.workers.providers.wire_formats.form import Asked, Fault, Finish, Said, WireFormat, listed

_STOPS = {Finish.STOP: "end_turn", Finish.LENGTH: "max_tokens", Finish.REFUSED: "refusal"}


def _error(status: int, kind: str, message: str, **headers: str) -> Response:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}
    return Response(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def _bad(message: str) -> Response:
    return _error(400, "invalid_request_error", message)


class Anthropic(WireFormat):
    """Claude at Anthropic itself."""

    model = "anthropic/claude-sonnet-4-5"
    params: JsonObject = {"max_tokens": 4096}
    base = ""
    own_type = ("anthropic.types", "Message")
    path = "/v1/messages"
    modes = (Structured.JSON_SCHEMA, Structured.TOOL_CALL)
    usage = Usage(
        input_tokens=1600,
        cached_tokens=1000,
        cache_write_tokens=500,
        cache_write_long_tokens=200,
        output_tokens=90,
        reasoning_tokens=60,
    )
    unknown_mode = _bad("output_format: 'claude-sonnet-4-5' does not support structured outputs.")
    unsealed = _bad(
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block."
    )
    ids = ("toolu_01A09q90qw90lq917835lq9", "toolu_01BXz7Kq5mPqR9n3sT2vWy8u")
    throttled = {
        "until a time of day": Fault(
            _error(
                429,
                "rate_limit_error",
                "This request would exceed your organization's rate limit of 50 requests per minute.",
                anthropic_ratelimit_requests_remaining="0",
                anthropic_ratelimit_requests_reset="2999-01-01T00:00:00Z",
                anthropic_ratelimit_tokens_remaining="79000",
                anthropic_ratelimit_tokens_reset="2999-06-01T00:00:00Z",
            ),
            ErrorKind.RATE,
            wait_s=7 * 24 * 3600,
        ),
        "overloaded": Fault(_error(529, "overloaded_error", "Overloaded"), ErrorKind.SERVER, words="Overloaded"),
    }
    faults = {
        "overflow": Fault(
            _bad("prompt is too long: 203456 tokens > 200000 maximum"), ErrorKind.CONTEXT_LENGTH, words="203456"
        ),
        "filtered before an answer": Fault(
            _bad("Output blocked by content filtering policy"), ErrorKind.CONTENT_FILTER, words="filtering policy"
        ),
    }
    lacks = {"filtered": "its classifiers end an answer with `refusal`, as the model itself does"}

    def read(self, body: Any) -> Asked:
        seals: dict[str, str] = {}
        results: dict[str, str] = {}
        for message in body["messages"]:
            blocks = listed(message["content"])
            seal = "".join(str(one.get("signature") or one.get("data") or "") for one in blocks)
            seals |= {one["id"]: seal for one in blocks if one["type"] == "tool_use"}
            results |= {one["tool_use_id"]: str(one["content"]) for one in blocks if one["type"] == "tool_result"}
        form = body.get("output_format") or (body.get("output_config") or {}).get("format")
        choice = body.get("tool_choice") or {}
        forced = choice.get("name") if choice.get("type") == "tool" else None
        mode = Structured.JSON_SCHEMA if form else Structured.TOOL_CALL if forced else Structured.PROMPT
        offered = tuple(tool["name"] for tool in body.get("tools") or ())
        return Asked(mode, form and form["schema"], offered, forced, results, seals)

    def write(self, said: Said) -> JsonObject:
        content: list[Any] = []
        if said.thoughts:
            content.append({"type": "thinking", "thinking": said.thoughts, "signature": said.seal})
        elif said.seal:
            content.append({"type": "redacted_thinking", "data": said.seal})
        if said.text:
            content.append({"type": "text", "text": said.text})
        content += [{"type": "tool_use", "id": one.id, "name": one.name, "input": one.arguments} for one in said.wishes]
        return {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": content,
            "stop_reason": "tool_use" if said.wishes else _STOPS[said.finish],
            "stop_sequence": None,
            "usage": {
                "input_tokens": 100,
                "cache_read_input_tokens": 1000,
                "cache_creation_input_tokens": 500,
                "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
                "output_tokens": 90,
                "output_tokens_details": {"thinking_tokens": 60},
                "service_tier": "standard",
            },
        }
