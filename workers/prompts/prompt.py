"""The messages of one call: what is the same for all items of a skill first, then the item, then what went wrong."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Example, Skill
from firstline.schemas.tool import ToolResult
from firstline.workers.prompts.per_skill import PerSkill
from firstline.workers.prompts.schema_outline import describe
from firstline.workers.providers.gateway import Message, ToolCall
from firstline.workers.providers.structured_output import WRAP, wrap
from firstline.workers.rules.data_fence import DECLARATION, as_text, fence, neutralise

#: Of a refused answer, so much is shown again: enough to mend it, and a runaway answer is not paid for twice.
_PREVIOUS_CHARS = 6_000
_FEEDBACK_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class ToolRound:
    """One round of tool calls: what the model wished, and what came of each wish."""

    calls: tuple[ToolCall, ...]
    results: tuple[ToolResult, ...]
    text: str | None = None
    #: The model's message as it came, where the provider wants it back whole.
    message: Message | None = None


def messages(
    skill: Skill,
    inputs: JsonObject,
    *,
    feedback: Sequence[str] = (),
    instruction: str | None = None,
    previous: str | None = None,
    tool_results: Sequence[ToolRound] = (),
) -> tuple[Message, ...]:
    """Return the messages for one item in OpenAI's shape.

    The prefix is byte-identical for all items of a skill (same digest), so that providers' prompt caches serve it.
    `feedback` says what was wrong with the answer `previous`; `instruction` is the orchestrator model's addition.
    """
    rounds = (message for done in tool_results for message in _round(done))
    if skill.conversation is not None:
        return (*conversation(inputs[skill.conversation]), *rounds, *again(feedback, previous))
    item = user(_with_instruction(fields(inputs), instruction))
    return (*static_messages(skill), item, *rounds, *again(feedback, previous))


def conversation(said: Json) -> tuple[Message, ...]:
    """Return a conversation that an item holds, as it came; UserError where it is none."""
    turns = said if isinstance(said, list) else []
    if not turns or not all(isinstance(turn, dict) and isinstance(turn.get("role"), str) for turn in turns):
        raise UserError("expected a conversation: a list of messages, each with its `role` and `content`")
    return tuple(turn for turn in turns if isinstance(turn, dict))


def fields(inputs: JsonObject) -> str:
    """Return the inputs of one item, each behind its fence."""
    return "\n".join(fence(name, value) for name, value in inputs.items())


def answer_text(skill: Skill, answer: Json) -> str:
    """Return an answer as the model is to write it."""
    if skill.is_text:
        return as_text(answer)
    return json.dumps(answer if _is_object(skill) else {WRAP: answer}, ensure_ascii=False)


def system_text(skill: Skill, contract: str) -> str:
    """Return the system message: role and rules, the inputs, the output contract, notes on the examples."""
    inputs = "\n".join(f"- {name}: {field.description or name}" for name, field in skill.input.items())
    parts = (skill.instructions.strip(), f"# Input\n{inputs}\n{DECLARATION}", f"# Answer\n{contract}", _notes(skill))
    return "\n\n".join(part for part in parts if part)


def again(feedback: Sequence[str], previous: str | None) -> tuple[Message, ...]:
    """Return what ends the prompt of a retry: the refused answer, and what was wrong with it."""
    if not feedback:
        return ()
    wrongs = "\n".join(f"- {_one_line(wrong)}" for wrong in feedback)
    asked = user(f"The last answer was not accepted:\n{wrongs}\nMend this and answer again, in the form asked for.")
    return (assistant(_shortened(previous)), asked) if previous else (asked,)


def user(text: str) -> Message:
    """Return a user's message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    """Return a model's message."""
    return {"role": "assistant", "content": text}


@PerSkill
def static_messages(skill: Skill) -> tuple[Message, ...]:
    """Return the part that is the same for all items: the system message and the examples as turns.

    All calls share these messages: whoever changes one copies it first.
    """
    if skill.conversation is not None:
        return ()
    turns = (turn for example in skill.examples for turn in _turns(skill, example))
    return ({"role": "system", "content": system_text(skill, _contract(skill))}, *turns)


def _contract(skill: Skill) -> str:
    if skill.is_text:
        return f"Answer with the text alone, without any words around it.\n{describe(skill.output)}"
    schema = skill.output if _is_object(skill) else wrap(skill.output)
    return f"Answer with one JSON object and nothing else:\n{describe(schema)}"


def _is_object(skill: Skill) -> bool:
    return skill.output.get("type") == "object" or ("type" not in skill.output and "properties" in skill.output)


def _notes(skill: Skill) -> str:
    notes = [f"- Example {n}: {example.note}" for n, example in enumerate(skill.examples, 1) if example.note]
    return "\n".join(["# On the examples", *notes]) if notes else ""


def _turns(skill: Skill, example: Example) -> tuple[Message, Message]:
    return user(fields(example.input)), assistant(answer_text(skill, example.output))


def _with_instruction(text: str, instruction: str | None) -> str:
    return f"{text}\n\nFor this item: {neutralise(instruction.strip())}" if instruction else text


def _one_line(text: str) -> str:
    """Feedback may quote what the model or the item said: it keeps to its line and cannot close a fence."""
    line = neutralise(" ".join(text.split()))
    return line if len(line) <= _FEEDBACK_CHARS else f"{line[:_FEEDBACK_CHARS]}…"


def _shortened(text: str) -> str:
    return text if len(text) <= _PREVIOUS_CHARS else f"{text[:_PREVIOUS_CHARS]}\n[...]"


def _round(done: ToolRound) -> tuple[Message, ...]:
    wishes: list[Json] = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in done.calls
    ]
    results = zip(done.calls, done.results, strict=True)
    return (
        done.message or {"role": "assistant", "content": done.text, "tool_calls": wishes},
        *(_result(call, result) for call, result in results),
    )


def _result(call: ToolCall, result: ToolResult) -> Message:
    return {"role": "tool", "tool_call_id": call.id, "content": _told(call, result)}


def _told(call: ToolCall, result: ToolResult) -> str:
    said = [f"The tool failed: {_one_line(result.error)}"] if result.error else []
    shown = [fence(call.name, result.value)] if result.value is not None or not result.error else []
    cut = ["The result was cut at its limit."] if result.truncated else []
    return "\n".join([*said, *shown, *cut])
