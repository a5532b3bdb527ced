"""What a scripted model says: right or wrong, on schema or off, whole or cut short."""

import json
from dataclasses import dataclass
from random import Random

from firstline.schemas.base import Json, JsonObject
from firstline.workers.providers.recording import RecordedToolCall, Recording
from firstline.workers.providers.structured_output import WRAP
from firstline.workers.simulator.chat import Chat
from firstline.workers.simulator.fabricate import fabricate
from firstline.workers.simulator.packs import joined, parts_of
from firstline.workers.simulator.recordings import Recordings
from firstline.workers.simulator.script import Answer, FaultKind

_REFUSAL = "I'm sorry, but I can't help with that."
_PROSE = "Certainly! Let me think about what would be the best answer here, all things considered."


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """An answer before it is dressed as a response."""

    text: str
    right: bool = True
    finish_reason: str = "stop"
    refused: bool = False
    tool_calls: tuple[RecordedToolCall, ...] = ()
    recording: Recording | None = None


def replay(recording: Recording) -> SimulatedAnswer:
    """Return the answer that was recorded."""
    return SimulatedAnswer(
        recording.text or "",
        finish_reason=recording.finish_reason,
        refused=recording.refused,
        tool_calls=recording.tool_calls,
        recording=recording,
    )


def compose(answer: Answer, chat: Chat, random: Random, *, seed: int, truth: Recordings) -> SimulatedAnswer:
    """Return a right answer with the scripted probability, else a wrong one.

    What is right for a prompt depends on the seed and the last user message alone, so all models agree on it. Each item
    of a pack is answered as if it had come alone.
    """
    if parts := parts_of(chat):
        answers = [compose(answer, part, random, seed=seed, truth=truth) for part in parts]
        return SimulatedAnswer(joined([said.text for said in answers], chat), right=all(said.right for said in answers))
    right = _right(answer, chat, Random(f"{seed}:{chat.last_user}"), truth)
    taught = answer.accuracy_with_examples is not None and len(chat.users) > 2
    accuracy = (answer.accuracy_with_examples or 0.0) if taught else answer.accuracy
    if accuracy >= 1 or random.random() < accuracy:
        return SimulatedAnswer(right)
    return SimulatedAnswer(_wrong(answer, chat, random, right), right=False)


def spoil(said: SimulatedAnswer, fault: FaultKind) -> SimulatedAnswer:  # noqa: PLR0911 - a return for each kind
    """Return the answer as a fault leaves it; faults that do not concern the answer leave it alone."""
    match fault:
        case FaultKind.TRUNCATION:
            return cut(said, max(len(said.text) // 2, 1))
        case FaultKind.MALFORMED:
            return SimulatedAnswer(_PROSE, right=False)
        case FaultKind.REPAIRABLE:
            return SimulatedAnswer(_damage(said.text), said.right)
        case FaultKind.OFF_SCHEMA:
            return SimulatedAnswer(_off_schema(said.text), right=False)
        case FaultKind.REFUSAL:
            return SimulatedAnswer(_REFUSAL, right=False, refused=True)
        case FaultKind.FILTERED:
            return SimulatedAnswer("", right=False, finish_reason="content_filter")
        case FaultKind.EMPTY:
            return SimulatedAnswer("", right=False)
        case _:
            return said


def cut(said: SimulatedAnswer, chars: int) -> SimulatedAnswer:
    """Return the first characters of an answer, ended for length."""
    return SimulatedAnswer(said.text[:chars], said.right, "length", recording=said.recording)


def _right(answer: Answer, chat: Chat, random: Random, truth: Recordings) -> str:
    match answer.kind:
        case "fixed":
            return answer.text
        case "echo":
            return _fit(chat.last_user, chat)
        case "from_schema":
            return _made(chat, random)
        case "truth":
            known = truth.find(chat.model, chat.key, *chat.users)
            return _fit(known.text, chat) if known is not None and known.text is not None else _made(chat, random)


def _wrong(answer: Answer, chat: Chat, random: Random, right: str) -> str:
    if answer.wrong:
        return _fit(random.choice(answer.wrong), chat)
    tries = (_made(chat, random) for _ in range(16))
    return next((made for made in tries if made != right), "I do not know.")


def _made(chat: Chat, random: Random) -> str:
    if chat.schema is None:
        return f"The answer is {random.randint(0, 9999)}."
    return json.dumps(fabricate(chat.schema, random), ensure_ascii=False)


def _fit(text: str, chat: Chat) -> str:
    """Wrap a bare text for a schema that wants it in an object with one property, as `structured_output` asks."""
    if chat.schema is None or not isinstance(properties := chat.schema.get("properties"), dict) or _is_object(text):
        return text
    name = WRAP if WRAP in properties else next(iter(properties), WRAP)
    value: JsonObject = {name: _loads(text)}
    return json.dumps(value, ensure_ascii=False)


def _damage(text: str) -> str:
    """Return JSON that only needs mending: in a fence, with a trailing comma."""
    bare = text.rstrip()
    return f"```json\n{bare[:-1]},{bare[-1]}\n```" if bare[-2:-1] not in ("{", "[", "") else f"```json\n{bare}\n```"


def _off_schema(text: str) -> str:
    value = _loads(text)
    match value:
        case dict():
            return json.dumps({"unexpected": list(value)})
        case _:
            return json.dumps({"unexpected": True})


def _is_object(text: str) -> bool:
    return text.lstrip().startswith("{") and isinstance(_loads(text), dict)


def _loads(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
