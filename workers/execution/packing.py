"""Several short items in one call, and their answers taken apart again."""

import json
from collections import Counter
from collections.abc import Sequence

from firstline.config.json_schema.references import placed
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.prompts.per_skill import PerSkill
from firstline.workers.prompts.prompt import assistant, fields, system_text, user
from firstline.workers.prompts.schema_outline import describe
from firstline.workers.providers.gateway import Message


def packed_messages(skill: Skill, items: Sequence[JsonObject]) -> tuple[Message, ...]:
    """Return the messages that ask for the answers of several items at once; the prefix is the same for every pack.

    A packed call takes no feedback: an item whose answer fails is asked again alone.
    """
    return (*_static(skill), user(_listed(items)))


def packed_schema(skill: Skill) -> JsonObject:
    """Return the JSON Schema of a pack's answer: `{"results": [{"n": 1, "answer": ...}, ...]}`."""
    inner, root = placed(skill.output, "/properties/results/items/properties/answer")
    result: JsonObject = {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "number of the item"}, "answer": inner},
        "required": ["n", "answer"],
        "additionalProperties": False,
    }
    results: JsonObject = {
        "type": "object",
        "properties": {"results": {"type": "array", "items": result}},
        "required": ["results"],
        "additionalProperties": False,
    }
    return results | root


def unpack(value: Json, count: int) -> dict[int, Json]:
    """Return the answers of a pack by the item's place, from 0; what is absent there must be asked alone.

    An item that was answered twice counts as absent: nothing says which answer is its own.
    """
    found = [pair for entry in _entries(value) if (pair := _pair(entry, count)) is not None]
    times = Counter(place for place, _ in found)
    return {place: answer for place, answer in found if times[place] == 1}


@PerSkill
def _static(skill: Skill) -> tuple[Message, ...]:
    contract = (
        "Several items come at once, each between <item n=...> and </item>. Answer each on its own, as if it had come "
        f"alone, with one JSON object and nothing else:\n{describe(packed_schema(skill))}"
    )
    system: Message = {"role": "system", "content": system_text(skill, contract)}
    if not skill.examples:
        return (system,)
    results: list[Json] = [{"n": n, "answer": example.output} for n, example in enumerate(skill.examples, 1)]
    shown = _listed([example.input for example in skill.examples])
    return system, user(shown), assistant(json.dumps({"results": results}, ensure_ascii=False))


def _listed(items: Sequence[JsonObject]) -> str:
    return "\n".join(f'<item n="{n}">\n{fields(inputs)}\n</item>' for n, inputs in enumerate(items, 1))


def _entries(value: Json) -> list[Json]:
    match value:
        case {"results": list() as entries}:
            return entries
        case _:
            return []


def _pair(entry: Json, count: int) -> tuple[int, Json] | None:
    match entry:
        case {"n": int() as n, "answer": answer} if 1 <= n <= count and not isinstance(n, bool):
            return n - 1, answer
        case _:
            return None
