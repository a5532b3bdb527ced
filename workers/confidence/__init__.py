"""Confidence: the signal that a threshold is for, else the first of a skill's signals that has a value."""

import asyncio
import math
from typing import assert_never

from pydantic_core import to_json

from firstline.schemas.policy import DECISION, Confidence, Signal
from firstline.schemas.skill import Skill
from firstline.workers.confidence.agreement import agreement
from firstline.workers.confidence.ask import Ask, Caller
from firstline.workers.confidence.checked_answer import CheckedAnswer
from firstline.workers.confidence.function import by_function
from firstline.workers.confidence.logprob import mean_logprob, min_logprob
from firstline.workers.confidence.margin import margin
from firstline.workers.confidence.spans import answer_tokens
from firstline.workers.confidence.verifier import verified
from firstline.workers.rules.combined_signal import ANSWER_CHARS, ITEM_CHARS

__all__ = ["Ask", "Caller", "CheckedAnswer", "assess", "measure", "top_logprobs"]

#: Alternatives per token to ask a provider for; OpenAI gives at most 20, others 5.
_ALTERNATIVES = 5


def top_logprobs(skill: Skill) -> int | None:
    """Return how many alternatives a call for this skill should ask for (`Call.top_logprobs`); None: none needed."""
    if any(signal.kind == "margin" for signal in skill.confidence):
        return _ALTERNATIVES
    return 0 if any(signal.is_of_logprobs for signal in skill.confidence) else None


async def assess(answered: CheckedAnswer, call: Caller, wanted: str = "") -> Confidence | None:
    """Return the `wanted` signal of the skill, or else the first that has a value; None where none has.

    All free signals are measured and come along where the skill has several. Those that cost money (agreement,
    verifier) are asked for only where they are wanted, or those before them are silent. `call` makes their calls and
    answers with a `Reply`, or None where it cannot.
    """
    if answered.reply.certainty is not None:
        return Confidence(signal=DECISION, value=answered.reply.certainty)
    signals = answered.skill.confidence
    known: dict[str, float] = {}
    for free in (one for one in signals if not one.is_costly):
        if (value := await _value(free, answered, call)) is not None:
            known[free.label] = value
    for signal in sorted(signals, key=lambda one: one.label != wanted):
        if signal.is_costly and (value := await _value(signal, answered, call)) is not None:
            known[signal.label] = value
        if signal.label in known:
            more = known | _lengths(answered) if len(signals) > 1 else {}
            return Confidence(signal=signal.label, value=known[signal.label], known=more)
    return None


async def _value(signal: Signal, answered: CheckedAnswer, call: Caller) -> float | None:
    value = await measure(signal, answered, call)
    return None if value is None or math.isnan(value) else min(1.0, max(0.0, value))


def _lengths(answered: CheckedAnswer) -> dict[str, float]:
    return {
        ANSWER_CHARS: math.log1p(len(answered.reply.text or "")),
        ITEM_CHARS: math.log1p(len(to_json(answered.inputs))),
    }


async def measure(signal: Signal, answered: CheckedAnswer, call: Caller) -> float | None:
    """Return one signal's value in 0..1, None where it has none."""
    tokens = answer_tokens(answered.reply, plain=answered.skill.is_text)
    match signal.kind:
        case "mean_logprob":
            return mean_logprob(tokens, signal.field)
        case "min_logprob":
            return min_logprob(tokens, signal.field)
        case "margin":
            return margin(tokens, answered.skill.output, signal.field)
        case "agreement":
            return await agreement(signal, answered, call)
        case "verifier":
            return await verified(signal, answered, call)
        case "function":
            return await asyncio.to_thread(by_function, signal, answered)
    assert_never(signal.kind)
