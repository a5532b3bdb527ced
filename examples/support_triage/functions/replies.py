"""Looks up and picks what the bank says: nothing that a model is needed for."""

import re
from functools import cache
from pathlib import Path

import yaml

TEMPLATES = Path(__file__).with_name("replies.yaml")
_REFUSAL = re.compile(
    r"\b(?:can(?:no|')?t|unable to|not able to) (?:assist|help|answer|provide|do that)", re.IGNORECASE
)


def ready(intent: str, question: str, about: str | None = None) -> dict[str, str | None]:
    """Return the ready-made reply to an intent, naming what the question is about if those words stand in it."""
    text = templates()[intent]
    if about is None or not stands_in(about, question):
        return {"reply": f"Hello. {text}", "about": None}
    return {"reply": f'Hello, thank you for your question about "{about.strip(" .?!")}". {text}', "about": about}


def final(ready: str, written: str | None = None) -> dict[str, str]:
    """Return the reply that goes out: the written one where there is one that is no refusal, else the ready-made."""
    if written is None or not written.strip() or _REFUSAL.search(written):
        return {"reply": ready, "by": "template"}
    return {"reply": written.strip(), "by": "frontier"}


def stands_in(words: str, text: str) -> bool:
    """Return whether a text holds these words, apart from case, white space and punctuation."""
    return bool(_letters(words)) and _letters(words) in _letters(text)


@cache
def templates() -> dict[str, str]:
    """Return the ready-made replies by intent."""
    loaded: dict[str, str] = yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))
    return loaded


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
