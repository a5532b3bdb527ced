"""Confidence: the first of a skill's signals that has a value."""

import asyncio
import math
from typing import assert_never

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

__all__ = ["Ask", "Caller", "CheckedAnswer", "assess", "measure", "top_logprobs"]

#: Alternatives per token to ask a provider for; OpenAI gives at most 20, others 5.
_ALTERNATIVES = 5


def top_logprobs(skill: Skill) -> int | None:
    """Return how many alternatives a call for this skill should ask for (`Call.top_logprobs`); None: none needed."""
    kinds = {signal.kind for signal in skill.confidence}
    if "margin" in kinds:
        return _ALTERNATIVES
    return 0 if kinds & {"mean_logprob", "min_logprob"} else None


async def assess(answered: CheckedAnswer, call: Caller) -> Confidence | None:
    """Return the first signal of the skill that has a value, or None.

    Later signals are not computed, so that calls which cost money (agreement, verifier) are made only where the free
    ones are silent. `call` makes them and answers with a `Reply`, or None where it cannot.
    """
    if answered.reply.certainty is not None:
        return Confidence(signal=DECISION, value=answered.reply.certainty)
    for signal in answered.skill.confidence:
        value = await measure(signal, answered, call)
        if value is not None and not math.isnan(value):
            return Confidence(signal=signal.label, value=min(1.0, max(0.0, value)))
    return None


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
