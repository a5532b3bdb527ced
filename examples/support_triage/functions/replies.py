"""Looks up what the bank says to an intent: nothing that a model is needed for."""

from functools import cache
from pathlib import Path

import yaml

TEMPLATES = Path(__file__).with_name("replies.yaml")


def reply(intent: str, about: str | None = None) -> str:
    """Return the ready-made reply to an intent, with what the customer asked about in its first line."""
    text = templates()[intent]
    return f"Hello, thank you for your question about {_quoted(about)}. {text}" if about else f"Hello. {text}"


@cache
def templates() -> dict[str, str]:
    """Return the replies by intent."""
    loaded: dict[str, str] = yaml.safe_load(TEMPLATES.read_text(encoding="utf-8"))
    return loaded


def _quoted(about: str) -> str:
    return f'"{about.strip(" .?!")}"'
