"""How far further answers to the same question agree with the first."""

import asyncio
from collections.abc import Sequence

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.errors import UserError
from firstline.schemas.policy import Signal
from firstline.workers.confidence.ask import Ask, Caller
from firstline.workers.confidence.checked_answer import CheckedAnswer
from firstline.workers.prompts.prompt import user
from firstline.workers.providers.gateway import Message, Reply
from firstline.workers.rules.json_paths import MISSING, dig
from firstline.workers.rules.scoring import compare

#: Asked differently, a model repeats its slips less often than at a higher temperature alone.
_VARIANTS = (
    None,
    "Before you answer, read the input once more from its end to its beginning.",
    "Before you answer, consider what a careful colleague might object to.",
    "Before you answer, rule out the alternatives one by one.",
)
#: The sample's own fault: it disagrees. After any other error nothing is known of it.
_NO_ANSWER = (ErrorKind.MALFORMED, ErrorKind.OFF_SCHEMA, ErrorKind.EMPTY, ErrorKind.REFUSED, ErrorKind.TRUNCATED)


async def agreement(signal: Signal, answered: CheckedAnswer, call: Caller) -> float | None:
    """Return the mean agreement of the samples with the answer, 0..1; None when no sample came back.

    Self-consistency (Wang et al. 2022, arXiv:2203.11171), over differently worded prompts as well as temperature.
    """
    replies = await asyncio.gather(*(call(ask) for ask in samples(signal, answered)))
    return agreed(signal, answered, [reply for reply in replies if reply is not None])


def samples(signal: Signal, answered: CheckedAnswer) -> tuple[Ask, ...]:
    """Return the calls to make: the same messages, so that the prefix stays cached, worded and drawn differently."""
    skill, messages = answered.skill, answered.messages
    schema = None if skill.is_text else skill.output
    params = {**skill.params, "temperature": signal.temperature}
    return tuple(
        Ask("sample", _varied(messages, n), tier=signal.tier, schema=schema, schema_name=skill.name, params=params)
        for n in range(signal.samples)
    )


def agreed(signal: Signal, answered: CheckedAnswer, replies: Sequence[Reply]) -> float | None:
    """Return the mean of the samples' likeness to the answer (at the signal's field) by the signal's comparison.

    None when nothing is known of any sample, or when the user's comparator breaks.
    """
    known = [reply for reply in replies if reply.error is None or reply.error in _NO_ANSWER]
    try:
        scores = [_likeness(signal, answered, reply) for reply in known]
    except UserError:
        return None
    return sum(scores) / len(scores) if scores else None


def _varied(messages: tuple[Message, ...], n: int) -> tuple[Message, ...]:
    variant = _VARIANTS[n % len(_VARIANTS)]
    if variant is None:
        return messages
    last = messages[-1]
    joins = last.get("role") == "user" and isinstance(last.get("content"), str)
    return (*messages[:-1], user(f"{last['content']}\n\n{variant}")) if joins else (*messages, user(variant))


def _likeness(signal: Signal, answered: CheckedAnswer, reply: Reply) -> float:
    if reply.error is not None:
        return 0.0
    theirs = reply.plain if answered.skill.is_text else reply.value
    ours_at, theirs_at = (dig(whole, signal.field) if signal.field else whole for whole in (answered.value, theirs))
    if ours_at is MISSING or theirs_at is MISSING:
        return float(ours_at is theirs_at)
    return compare(signal.compare, theirs_at, ours_at, folders=answered.folders)
