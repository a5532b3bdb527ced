"""A pack's reply taken apart: each item's answer with its share of the tokens and dollars."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from pydantic_core import to_json

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.skill import Skill
from firstline.workers.execution.packing import keys_of, unpack
from firstline.workers.prompts.prompt import answer_text
from firstline.workers.providers.gateway import Reply

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
