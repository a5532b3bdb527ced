"""Answers in the shape of OpenAI's Responses API, made of chat completions: whole, or event by event."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from firstline.orchestrator.web.api.chat_answer import KEEP_ALIVE

_EVENT = "data: "


def response_of(completion: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion as a response."""
    choice = completion["choices"][0]
    message, number = choice["message"], completion["id"]
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice.get("finish_reason") or "")
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    text = [_message(number, _parts(message), cut)] if message.get("content") or not calls else []
    found = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": completion["created"],
        "model": completion["model"],
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": None,
        "metadata": {},
        "output": [*text, *calls],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": None,
        "top_p": None,
        "usage": _usage(completion.get("usage")),
    }
    return found | ({"firstline": completion["firstline"]} if "firstline" in completion else {})


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    if message.get("refusal"):
        return [{"type": "refusal", "refusal": message["refusal"]}]
    return [{"type": "output_text", "text": message.get("content") or "", "annotations": [], "logprobs": []}]


def _message(number: str, parts: list[dict[str, Any]], cut: str | None) -> dict[str, Any]:
    status = "incomplete" if cut else "completed"
    return {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": status, "content": parts}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    said = call["function"]
    return {
        "type": "function_call",
        "id": f"fc_{call['id']}",
        "call_id": call["id"],
        "name": said["name"],
        "arguments": said["arguments"],
        "status": "completed",
    }


def _usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": usage["total_tokens"],
    }


@dataclass
class _Told:
    """What a stream of a chat has told so far."""

    model: str
    id: str = "none"
    created: int = 0
    text: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None

    def hear(self, chunk: dict[str, Any]) -> str:
        """Take in a chunk; return the text that it adds."""
        self.id, self.created = chunk.get("id") or self.id, chunk.get("created") or self.created
        self.model, self.usage = chunk.get("model") or self.model, chunk.get("usage") or self.usage
        added = ""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            added += delta.get("content") or ""
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            for call in delta.get("tool_calls") or ():
                self._wish(call)
        self.text.append(added)
        return added

    def _wish(self, call: dict[str, Any]) -> None:
        known = self.calls.setdefault(call.get("index", 0), {"id": "", "function": {"name": "", "arguments": ""}})
        known["id"] = call.get("id") or known["id"]
        for name, part in (call.get("function") or {}).items():
            known["function"][name] = (known["function"].get(name) or "") + (part or "")

    def completion(self) -> dict[str, Any]:
        """Return the whole as one chat completion."""
        message = {"content": "".join(self.text), "tool_calls": [self.calls[n] for n in sorted(self.calls)]}
        choice = {"message": message, "finish_reason": self.finish_reason}
        return {"id": self.id, "created": self.created, "model": self.model, "choices": [choice], "usage": self.usage}


async def events_of(parts: AsyncIterator[str], *, model: str) -> AsyncGenerator[str, None]:
    """Yield the events of a response as a chat's stream comes in; text as it comes, tool calls when they are whole."""
    told, numbers, opened, speaks = _Told(model), count(), False, False

    def event(kind: str, **more: Any) -> str:
        data = json.dumps({"type": kind, "sequence_number": next(numbers), **more}, ensure_ascii=False)
        return f"event: {kind}\n{_EVENT}{data}\n\n"

    async for part in parts:
        if part == KEEP_ALIVE or not part.startswith(_EVENT):
            yield part
            continue
        data = part.removeprefix(_EVENT).strip()
        if data == "[DONE]":
            break
        chunk = json.loads(data)
        if "error" in chunk:
            yield event("error", **{"code": None, "param": None, **chunk["error"]})
            return
        added = told.hear(chunk)
        if not opened:
            opened = True
            begun = {**response_of(told.completion()), "status": "in_progress", "output": [], "usage": None}
            yield event("response.created", response=begun)
            yield event("response.in_progress", response=begun)
        if added and not speaks:
            speaks = True
            for one in _opening(event, told):
                yield one
        if added:
            place = {"item_id": f"msg_{told.id}", "output_index": 0, "content_index": 0, "logprobs": []}
            yield event("response.output_text.delta", delta=added, **place)
    for one in _closing(event, response_of(told.completion()), has_text=speaks):
        yield one


def _opening(event: Any, told: _Told) -> Iterator[str]:
    item = {**_message(told.id, [], None), "status": "in_progress"}
    yield event("response.output_item.added", output_index=0, item=item)
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield event("response.content_part.added", item_id=item["id"], output_index=0, content_index=0, part=part)


def _closing(event: Any, response: dict[str, Any], *, has_text: bool) -> Iterator[str]:
    for index, item in enumerate(response["output"]):
        if item["type"] == "message" and has_text:
            place = {"item_id": item["id"], "output_index": index, "content_index": 0}
            (part,) = item["content"]
            yield event("response.output_text.done", text=part["text"], logprobs=[], **place)
            yield event("response.content_part.done", part=part, **place)
        elif item["type"] == "function_call":
            yield event("response.output_item.added", output_index=index, item={**item, "arguments": ""})
            place = {"item_id": item["id"], "output_index": index}
            yield event("response.function_call_arguments.delta", delta=item["arguments"], **place)
            yield event(
                "response.function_call_arguments.done", name=item["name"], arguments=item["arguments"], **place
            )
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(f"response.{response['status']}", response=response)
