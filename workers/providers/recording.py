"""Answers of a run, kept so that the simulator can give them again."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from firstline.schemas.attempt import ErrorKind, TokenLogprob, Usage
from firstline.schemas.base import Frozen, Json, JsonObject, digest
from firstline.schemas.errors import UserError
from firstline.workers.providers.gateway import Call, Gateway, Message, Reply

#: A reply with one of these errors was still an answer; with any other there is nothing to keep.
_ANSWERED = (
    None,
    ErrorKind.TRUNCATED,
    ErrorKind.MALFORMED,
    ErrorKind.OFF_SCHEMA,
    ErrorKind.REFUSED,
    ErrorKind.EMPTY,
    ErrorKind.CONTENT_FILTER,
)


class RecordedToolCall(Frozen):
    """A tool call as the model wished it."""

    name: str
    arguments: dict[str, Json] = Field(default_factory=dict)


class Recording(Frozen):
    """One line of a recording: what was asked, by hash or by a piece of its text, and what came back."""

    #: None: whatever the model.
    model: str | None = None
    #: `messages_key` of the messages.
    key: str | None = None
    #: A piece of what the user said, the newest message first; the longest piece that matches wins.
    contains: str | None = Field(default=None, min_length=1)
    text: str | None = None
    refused: bool = False
    tool_calls: tuple[RecordedToolCall, ...] = ()
    #: Token counts; None: the simulator estimates them.
    usage: Usage | None = None
    finish_reason: str = "stop"
    logprobs: tuple[TokenLogprob, ...] = ()
    latency_s: float | None = Field(default=None, ge=0)
    #: Written by hand, not said by a model; a run's report tells of it.
    scripted: bool = False

    @model_validator(mode="after")
    def _findable(self) -> Self:
        if self.key is None and self.contains is None:
            raise ValueError(
                "a recorded answer needs `key` (hash of the messages) or `contains` (a piece of the prompt)"
            )
        return self


def messages_key(messages: Sequence[Message]) -> str:
    """Return the hash that recordings know a prompt by; ids of tool calls and thoughts are not in it."""
    return digest([*_without_provider(messages)])


def _without_provider(messages: Sequence[Message]) -> Iterator[Message]:
    """Yield messages without what differs from run to run: ids of tool calls, signatures, thoughts."""
    names: dict[Json, str] = {}
    rounds = 0
    for message in messages:
        match message:
            case {"role": "assistant", "tool_calls": list() as calls} if calls:
                for place, call in enumerate(calls):
                    if isinstance(call, dict):
                        names[str(call.get("id"))] = f"call{rounds % 100:02d}{place % 1000:03d}"
                rounds += 1
                plain: list[Json] = [_plain_call(call, names) for call in calls]
                yield {"role": "assistant", "content": message.get("content"), "tool_calls": plain}
            case {"role": "tool", "tool_call_id": known}:
                yield {**message, "tool_call_id": names.get(str(known), known)}
            case _:
                yield message


def _plain_call(call: Json, names: dict[Json, str]) -> Json:
    match call:
        case {"id": known, "function": {"name": name, "arguments": str() as raw}}:
            try:
                arguments = json.dumps(json.loads(raw))
            except ValueError:
                arguments = raw
            function: JsonObject = {"name": name, "arguments": arguments}
            return {"id": names.get(str(known), str(known)), "type": "function", "function": function}
        case _:
            return call


class RecordingGateway:
    """Passes calls on and appends each answer to a file; nothing of keys or headers gets into it."""

    def __init__(self, inner: Gateway, path: Path) -> None:
        self._inner = inner
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be written for recording: {error.strerror}; name a file in a writable folder"
            ) from None

    async def call(self, call: Call, /) -> Reply:
        """Answer one call through the wrapped gateway."""
        reply = await self._inner.call(call)
        if reply.error in _ANSWERED:
            self._append(recorded(call, reply))
        return reply

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, recording: Recording) -> None:
        # One write to a file opened with O_APPEND: lines of several processes do not mix.
        os.write(self._file, recording.model_dump_json(exclude_defaults=True).encode() + b"\n")


def recorded(call: Call, reply: Reply) -> Recording:
    """Return what a recording keeps of a call and its reply."""
    return Recording(
        model=call.model.name,
        key=messages_key(call.messages),
        text=reply.text,
        refused=reply.error is ErrorKind.REFUSED,
        tool_calls=tuple(RecordedToolCall(name=tool.name, arguments=tool.arguments) for tool in reply.tool_calls),
        usage=reply.usage,
        finish_reason=reply.finish_reason or "stop",
        logprobs=reply.logprobs,
        latency_s=round(reply.latency_s, 4),
    )
