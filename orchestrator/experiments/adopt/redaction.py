"""Personal data in recorded calls, masked before anything of them is kept or sent."""

import re
from dataclasses import replace
from typing import Any

from firstline.orchestrator.experiments.adopt.log_formats import RecordedCall

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
#: 13 to 19 digits, in groups or not.
_CARD = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")
#: A leading plus or zero, or a bracketed area code, and 7 to 15 digits in all.
_PHONE = re.compile(r"(?<![\w+])(?:\+|00|0|\()\d(?:[ ()/.-]{0,2}\d){6,13}(?!\w)")


def redacted(call: RecordedCall) -> RecordedCall:
    """Return a call whose prompt and answer name no e-mail address, phone or card number."""
    messages = [
        {**one, "content": _redacted(one.get("content"))} if isinstance(one, dict) else one
        for one in call.request["messages"]  # type: ignore[union-attr]
    ]
    return replace(call, request={**call.request, "messages": messages}, answer=masked(call.answer))


def masked(text: str) -> str:
    """Return a text with a word in the place of each such piece; equal pieces look alike."""
    text = _EMAIL.sub("[e-mail]", text)
    text = _CARD.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
    return _PHONE.sub("[phone]", text)


def _redacted(content: Any) -> Any:
    if isinstance(content, str):
        return masked(content)
    if isinstance(content, list):
        return [{**part, "text": masked(part["text"])} if _is_text(part) else part for part in content]
    return content


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _is_card(text: str) -> bool:
    """Say whether digits pass the check of card numbers (Luhn 1954, ISO/IEC 7812-1)."""
    digits = [int(one) for one in text if one.isdigit()][::-1]
    return sum(one if place % 2 == 0 else sum(divmod(2 * one, 10)) for place, one in enumerate(digits)) % 10 == 0
