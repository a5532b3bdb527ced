"""Tokens by rule of thumb: a token is four Latin letters or one Chinese character, a message costs four more."""

import re
from collections.abc import Sequence
from math import ceil

from firstline.schemas.base import Json, JsonObject
from firstline.workers.estimates.call_estimate import text_tokens

_PIECES = re.compile(r"\s*\w{1,8}|\s*[^\w\s]|\s+")

CHARS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4


def count_text(text: str) -> int:
    """Return the number of tokens of a text by its scripts: a quarter of its Latin letters, rounded up."""
    return ceil(text_tokens(text))


def count_prompt(texts: Sequence[str]) -> int:
    """Return the number of tokens of a prompt's messages."""
    return sum(map(count_text, texts)) + TOKENS_PER_MESSAGE * len(texts)


def pieces(text: str) -> list[str]:
    """Cut a text into token-like pieces that add up to it."""
    return _PIECES.findall(text)


def message_text(message: JsonObject) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    return _content_text(message.get("content"))


def _content_text(content: Json) -> str:
    match content:
        case str():
            return content
        case list():
            return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        case _:
            return ""
