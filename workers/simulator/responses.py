"""Responses in OpenAI's shape."""

import itertools
import json
import re
import time
from typing import Any

from firstline.schemas.attempt import Usage
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.tier import Lane
from firstline.workers.simulator.answers import SimulatedAnswer
from firstline.workers.simulator.chat import Chat
from firstline.workers.simulator.script import Capability

_ids = itertools.count(1)


def completion(
    chat: Chat, said: SimulatedAnswer, usage: JsonObject | None, lane: Lane | None, logprobs: JsonObject | None
) -> JsonObject:
    """Return the body of an answered request."""
    choice: JsonObject = {
        "index": 0,
        "message": _message(chat, said),
        "finish_reason": _finish(said),
        "logprobs": logprobs,
    }
    body: JsonObject = {
        "id": f"chatcmpl-{next(_ids)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": chat.model,
        "choices": [choice],
    }
    if lane is not None:
        body["service_tier"] = "default" if lane is Lane.STANDARD else lane.value
    return body if usage is None else body | {"usage": usage}


def chunks(body: dict[str, Any], *, usage: bool) -> list[dict[str, Any]]:
    """Return an answered request as the chunks of a stream: its text by words, its tool calls whole."""
    head = {name: body[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    choice = body["choices"][0]
    message = choice["message"]
    words = re.findall(r"\s*\S+|\s+$", message["content"] or "")
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": word} for word in words)]
    if calls := message.get("tool_calls"):
        deltas.append({"tool_calls": [{"index": n, **call} for n, call in enumerate(calls)]})
    made: list[dict[str, Any]] = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    made.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    return [*made, {**head, "choices": [], "usage": body.get("usage")}] if usage else made


def render_usage(usage: Usage) -> JsonObject:
    """Return the `usage` object."""
    sent, got = usage.input_tokens or 0, usage.output_tokens or 0
    written: JsonObject = {"cache_write_tokens": usage.cache_write_tokens} if usage.cache_write_tokens else {}
    return {
        "prompt_tokens": sent,
        "completion_tokens": got,
        "total_tokens": sent + got,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens or 0, **written},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }


def problem(message: str, kind: str, code: str | None = None, param: str | None = None) -> JsonObject:
    """Return an error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _message(chat: Chat, said: SimulatedAnswer) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": said.text, "refusal": None}
    if said.refused:
        return message | {"content": None, "refusal": said.text}
    if said.tool_calls:
        calls: list[Json] = [
            _call(tool.name, json.dumps(tool.arguments, ensure_ascii=False)) for tool in said.tool_calls
        ]
        return message | {"content": said.text or None, "tool_calls": calls}
    if chat.wants is Capability.TOOLS and chat.tool_name is not None and said.text:
        return message | {"content": None, "tool_calls": [_call(chat.tool_name, said.text)]}
    return message


def _finish(said: SimulatedAnswer) -> str:
    return "tool_calls" if said.tool_calls and said.finish_reason == "stop" else said.finish_reason


def _call(name: str, arguments: str) -> JsonObject:
    return {"id": f"call_{next(_ids)}", "type": "function", "function": {"name": name, "arguments": arguments}}
