"""A gateway for tests: gives scripted replies, and complains when its script runs out."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from firstline.schemas.attempt import Usage
from firstline.schemas.base import Json
from firstline.schemas.errors import FirstlineError
from firstline.workers.providers.gateway import AnswerSpan, Call, Reply

#: A reply, or a function that makes one for the call.
Line = Reply | Callable[[Call], Reply]


class ScriptError(FirstlineError):
    """A test's gateway was called more often, or less often, than its script says."""


class ScriptedGateway:
    """Answers calls with the lines of a script, one after the other."""

    def __init__(self, script: Iterable[Line]) -> None:
        self._script = iter(script)
        #: The calls so far.
        self.calls: list[Call] = []

    async def call(self, call: Call, /) -> Reply:
        """Give the next line of the script."""
        self.calls.append(call)
        line = next(self._script, None)
        if line is None:
            prompt = str(call.messages[-1].get("content")) if call.messages else ""
            raise ScriptError(f"the script has no line for call {len(self.calls)} to {call.model.name}: {prompt:.200}")
        reply = line(call) if callable(line) else line
        return replace(reply, value=json.loads(json.dumps(reply.value)))

    def assert_done(self) -> None:
        """Complain if the script has lines that nobody asked for."""
        left = len(list(self._script))
        if left:
            raise ScriptError(f"{left} lines of the script were never asked for; there were {len(self.calls)} calls")


def say(value: Json, **details: object) -> Reply:
    """Return a reply as a provider would give it for a JSON value, or for a text."""
    text = value if isinstance(value, str) else json.dumps(value)
    told = Reply(text=text, value=value, usage=Usage(input_tokens=10, output_tokens=5), finish_reason="stop")
    told = replace(told, span=AnswerSpan(0, len(text)))
    return replace(told, **details)  # type: ignore[arg-type]
