"""Another model's word on whether an answer holds."""

import math
import re

from firstline.schemas.attempt import TokenLogprob
from firstline.schemas.base import JsonObject
from firstline.schemas.policy import Signal
from firstline.workers.confidence.ask import Ask, Caller
from firstline.workers.confidence.checked_answer import CheckedAnswer
from firstline.workers.confidence.spans import AnswerTokens, place
from firstline.workers.prompts.prompt import fields, user
from firstline.workers.prompts.schema_outline import describe
from firstline.workers.providers.gateway import Message, Reply
from firstline.workers.providers.thoughts import without_thoughts
from firstline.workers.rules.data_fence import DECLARATION, fence

_ROLE = (
    "You check another model's answer to a task. Decide whether a careful expert would accept it as correct, complete "
    "and in line with the task's instructions. Say yes only if you find nothing wrong. Answer with one word: yes or no."
)
#: The same to a decision model.
_QUESTION: JsonObject = {"type": "boolean", "description": "Would a careful expert accept the answer as it stands?"}
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_FIRST = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_ALTERNATIVES = 10


async def verified(signal: Signal, answered: CheckedAnswer, call: Caller) -> float | None:
    """Return the verifier's probability that the answer holds, 0..1; None when it gave no word."""
    reply = await call(verification(signal, answered))
    return None if reply is None else probability(reply)


def verification(signal: Signal, answered: CheckedAnswer) -> Ask:
    """Return the call to the verifier: task and rubric first (the same for all items), then the item."""
    skill = answered.skill
    rubric = f"\n\n# What to look at\n{signal.rubric.strip()}" if signal.rubric else ""
    task = f"# The task\n{skill.instructions.strip()}\n\n# The form of its answers\n{describe(skill.output)}"
    system: Message = {"role": "system", "content": f"{_ROLE}\n\n{task}{rubric}\n\n{DECLARATION}"}
    shown = f"The answer to check:\n{fence('answer', answered.value)}\n\nIs it right? yes or no"
    messages = (system, user(f"{fields(answered.inputs)}\n\n{shown}"))
    params: JsonObject = {"temperature": 0}
    return Ask("verify", messages, signal.tier, question=_QUESTION, params=params, top_logprobs=_ALTERNATIVES)


def probability(reply: Reply) -> float | None:
    """Return P(yes) / (P(yes) + P(no)) at the token of the verdict, else 1 or 0 by the word; None without either."""
    if reply.error is not None:
        return None
    if isinstance(reply.value, bool):
        return None if reply.certainty is None else reply.certainty if reply.value else 1 - reply.certainty
    text = reply.text or ""
    word = _verdict(text)
    if word is None:
        return None
    tokens = place(reply.logprobs, text)
    held = AnswerTokens(text, tokens or (), ()).within(word.start(1), word.end(1))
    return _share(held[0].token) if len(held) == 1 else float(word[1].lower() == "yes")


def _verdict(text: str) -> re.Match[str] | None:
    """Find the verdict: the first word if it is one, else the last (a model that explained itself first)."""
    pieces = without_thoughts(text)
    if not pieces:
        return None
    begin, end = pieces[0][0], pieces[-1][1]
    return _FIRST.match(text, begin, end) or next(reversed(list(_WORD.finditer(text, begin, end))), None)


def _share(token: TokenLogprob) -> float | None:
    mass = {"yes": 0.0, "no": 0.0}
    for text, logprob in {token.token: token.logprob, **dict(token.top)}.items():
        if logprob is None:
            return None
        if word := _FIRST.fullmatch(text.rstrip(" \n\t\"'.,*")):
            mass[word[1].lower()] += math.exp(min(0.0, logprob))
    total = sum(mass.values())
    return mass["yes"] / total if total > 0 else None
