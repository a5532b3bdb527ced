"""Where the values stand in the text of a JSON answer, and which tokens they are made of."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from json import decoder
from typing import cast

from firstline.schemas.attempt import TokenLogprob
from firstline.schemas.base import Json

_SPACE = re.compile(r"[\s,:]*")
_NESTED = re.compile(r"[\[{]")
_QUOTED = re.compile(r'"')
_SCALAR = re.compile(r"[^\s,\]}]+")
_THINKING = re.compile(r"\s*<think>.*?</think>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """A value without its quotation marks: `text[start:end]`."""

    path: str
    start: int
    end: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A token and where it stands in the text of all tokens."""

    token: TokenLogprob
    start: int

    @property
    def end(self) -> int:
        """Where the next token begins."""
        return self.start + len(self.token.token)


def place(tokens: Sequence[TokenLogprob]) -> tuple[Placed, ...]:
    """Return the tokens with their offsets in the text that they make up together."""
    starts = accumulate((len(token.token) for token in tokens), initial=0)
    return tuple(Placed(token, start) for token, start in zip(tokens, starts, strict=False))


def within(placed: Sequence[Placed], span: Span) -> tuple[Placed, ...]:
    """Return the tokens that hold a part of the span; of an empty one, the token that ends it."""
    end = max(span.end, span.start + 1)
    return tuple(token for token in placed if token.start < end and token.end > span.start)


def leaves(text: str, *, plain: bool = False) -> tuple[Span, ...]:
    """Return the values (texts, numbers, true, false, null) of the first JSON value in a text; none if malformed.

    A plain text, or one that holds no JSON, is one value itself, with the path "". Thoughts before it do not count.
    """
    begin = _thought(text)
    first = None if plain else _NESTED.search(text, begin) or _QUOTED.search(text, begin)
    if first is None:
        stripped = text[begin:].strip()
        start = text.index(stripped, begin)
        return (Span("", start, start + len(stripped)),) if stripped else ()
    spans: list[Span] = []
    try:
        _scan(text, first.start(), "", spans)
    except (ValueError, IndexError, RecursionError):
        return ()
    return tuple(spans)


def matching(spans: Sequence[Span], field: str | None, wrap: str | None = None) -> Iterator[Span]:
    """Yield the spans at or below a field; list positions need not be named.

    `wrap` is the property that an answer without an object at its root may have been wrapped in.
    """
    wanted = tuple(field.split(".")) if field else ()
    for span in spans:
        parts = tuple(part for part in span.path.split(".") if part)
        bare = parts[1:] if wrap and parts[:1] == (wrap,) else parts
        if any(tuple(path[: len(wanted)]) == wanted for path in (bare, _unnumbered(bare))):
            yield span


def _thought(text: str) -> int:
    """Where a reasoning model's thoughts end."""
    thought = _THINKING.match(text)
    return thought.end() if thought else 0


def _unnumbered(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for part in parts if not part.isdecimal())


def _scan(text: str, at: int, path: str, spans: list[Span]) -> int:
    """Walk over one value from `at`, note its leaves, return where it ends. ValueError or IndexError if malformed."""
    match text[at]:
        case "{":
            return _scan_object(text, at + 1, path, spans)
        case "[":
            return _scan_list(text, at + 1, path, spans)
        case '"':
            _, end = _string(text, at + 1)
            spans.append(Span(path, at + 1, end - 1, quoted=True))
            return end
        case _:
            return _scan_scalar(text, at, path, spans)


def _scan_object(text: str, at: int, path: str, spans: list[Span]) -> int:
    at = _skip(text, at)
    while text[at] != "}":
        if text[at] != '"':
            raise ValueError("expected a key")
        key, at = _string(text, at + 1)
        at = _skip(text, _scan(text, _skip(text, at), f"{path}.{key}" if path else key, spans))
    return at + 1


def _scan_list(text: str, at: int, path: str, spans: list[Span]) -> int:
    at, n = _skip(text, at), 0
    while text[at] != "]":
        at = _skip(text, _scan(text, at, f"{path}.{n}" if path else str(n), spans))
        n += 1
    return at + 1


def _scan_scalar(text: str, at: int, path: str, spans: list[Span]) -> int:
    found = _SCALAR.match(text, at)
    if found is None:
        raise ValueError("expected a value")
    value: Json = json.loads(found[0])
    if isinstance(value, dict | list | str):
        raise ValueError("expected a number, true, false or null")
    spans.append(Span(path, at, found.end()))
    return found.end()


def _string(text: str, at: int) -> tuple[str, int]:
    # The standard library's own scanner, which its type stubs leave out.
    return cast("tuple[str, int]", decoder.scanstring(text, at, False))  # type: ignore[attr-defined]


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
