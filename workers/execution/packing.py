"""Several short items in one call, and their answers taken apart again."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from pydantic_core import to_json

from firstline.config.json_schema.references import placed
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import Json, JsonObject, digest
from firstline.schemas.skill import Skill
from firstline.workers.prompts.per_skill import PerSkill
from firstline.workers.prompts.prompt import answer_text, assistant, fields, system_text, user
from firstline.workers.prompts.schema_outline import describe
from firstline.workers.providers.gateway import Message, Reply

#: How the name of a pack's answer ends.
PACK = "_pack"
#: What codes are made of: no vowels, so that no word comes of them, and no digits, which models count.
_LETTERS = "bcdfghjkmnpqrstvwxz"
_KEY_LETTERS = 4


def packed_messages(skill: Skill, items: Sequence[JsonObject]) -> tuple[Message, ...]:
    """Return the messages that ask for the answers of several items at once; the prefix is the same for every pack.

    A packed call takes no feedback: an item whose answer fails is asked again alone.
    """
    return (*_static(skill), user(_listed(items)))


def packed_schema(skill: Skill) -> JsonObject:
    """Return the JSON Schema of a pack's answer: `{"results": [{"n": "kxtz", "answer": ...}, ...]}`."""
    inner, root = placed(skill.output, "/properties/results/items/properties/answer")
    result: JsonObject = {
        "type": "object",
        "properties": {"n": {"type": "string", "description": "the item's code, copied"}, "answer": inner},
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


def keys_of(items: Sequence[JsonObject]) -> tuple[str, ...]:
    """Return a code for each item of a pack, which its answer must bring back.

    Ordinals are counted anew by models that leave something out or begin at 0, and a neighbour's answer then looks like
    one's own. The codes follow from all items together: no item can know its own or another's, and a repeated pack has
    the same.
    """
    number, keys = int(digest([*items], length=64), 16), list[str]()
    while len(keys) < len(items):
        number, key = divmod(number, len(_LETTERS) ** _KEY_LETTERS)
        if number == 0:
            number = int(digest([*items, len(keys)], length=64), 16)
        word = "".join(_LETTERS[key // len(_LETTERS) ** place % len(_LETTERS)] for place in range(_KEY_LETTERS))
        if word not in keys:
            keys.append(word)
    return tuple(keys)


def unpack(value: Json, keys: Sequence[str]) -> dict[int, Json]:
    """Return the answers of a pack by the item's place, from 0; none at all unless each code came back just once.

    A code that is strange, double or absent says that the model lost count: nothing tells then which answer is whose.
    """
    found = [_pair(entry) for entry in _entries(value)]
    if sorted(key for key, _ in found) != sorted(keys):
        return {}
    return {keys.index(key): answer for key, answer in found}


@PerSkill
def _static(skill: Skill) -> tuple[Message, ...]:
    contract = (
        "Several items come at once, each between <item n=...> and </item> with its code as n. Answer each on its own, "
        "as if it had come alone, and give its code back exactly, with one JSON object and nothing else:\n"
        f"{describe(packed_schema(skill))}"
    )
    system: Message = {"role": "system", "content": system_text(skill, contract)}
    if not skill.examples:
        return (system,)
    inputs = [example.input for example in skill.examples]
    keyed = zip(keys_of(inputs), skill.examples, strict=True)
    results: list[Json] = [{"n": key, "answer": example.output} for key, example in keyed]
    shown = _listed(inputs)
    return system, user(shown), assistant(json.dumps({"results": results}, ensure_ascii=False))


def _listed(items: Sequence[JsonObject]) -> str:
    keyed = zip(keys_of(items), items, strict=True)
    return "\n".join(f'<item n="{key}">\n{fields(inputs)}\n</item>' for key, inputs in keyed)


def _entries(value: Json) -> list[Json]:
    match value:
        case {"results": list() as entries}:
            return entries
        case _:
            return []


def _pair(entry: Json) -> tuple[str, Json]:
    match entry:
        case {"n": str() as key, "answer": answer}:
            return key, answer
        case _:
            return "", None


_ABSENT = "the pack's answer did not bring back each item's code just once"


def share_out(reply: Reply, skill: Skill, items: Sequence[JsonObject]) -> list[Reply]:
    """Return one reply an item, in order; their tokens and dollars add up to those of the pack's.

    Shares go by the length of an item and its answer. An item without an answer has the pack's error, or `MALFORMED`.
    """
    answers = unpack(reply.value, keys_of(items)) if reply.error is None else {}
    weights = [len(to_json(item)) + len(to_json(answers.get(place))) for place, item in enumerate(items)]
    usages, costs = _usages(reply.usage, weights), _dollars(reply.cost_usd, weights)
    return [
        replace(
            reply if reply.error is not None else _answer(reply, skill, answers, place),
            usage=usages[place],
            cost_usd=costs[place],
            logprobs=(),
            span=None,
            refusals=() if place else reply.refusals,
            packed=len(items),
        )
        for place in range(len(items))
    ]


def _answer(reply: Reply, skill: Skill, answers: dict[int, Json], place: int) -> Reply:
    if place not in answers:
        return replace(reply, text=None, value=None, error=ErrorKind.MALFORMED, detail=_ABSENT)
    return replace(reply, text=answer_text(skill, answers[place]), value=answers[place])


def _usages(usage: Usage, weights: Sequence[int]) -> list[Usage]:
    columns = {name: _whole(count, weights) for name, count in usage.__dict__.items()}
    return [Usage(**{name: column[place] for name, column in columns.items()}) for place in range(len(weights))]


def _whole(count: int | None, weights: Sequence[int]) -> list[int] | list[None]:
    """Split a number of tokens by weight, without losing one to rounding."""
    if count is None:
        return [None] * len(weights)
    total = sum(weights)
    ends = [count * reached // total for reached in accumulate(weights)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _dollars(cost_usd: float | None, weights: Sequence[int]) -> list[float] | list[None]:
    """Split dollars by weight; the last share is what is left, so that they add up."""
    if cost_usd is None:
        return [None] * len(weights)
    shares = [cost_usd * weight / sum(weights) for weight in weights[:-1]]
    return [*shares, max(0.0, cost_usd - sum(shares))]
