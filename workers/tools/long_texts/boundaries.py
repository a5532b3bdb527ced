"""Where a text may be cut: before headings, paragraphs, sentences, words, and where nothing else is, anywhere."""

import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise

from firstline.workers.tools.passages import heading

_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_WORD = re.compile(r"\s+")


class Level(IntEnum):
    """What begins at a boundary; the higher, the better it is to cut there."""

    ANYWHERE = 0
    WORD = 1
    SENTENCE = 2
    PARAGRAPH = 3
    HEADING = 4


def boundaries(text: str, *, apart: int) -> tuple[list[tuple[int, Level]], dict[int, str]]:
    """Return the places where a text may be cut, its two ends among them, and the headings that stand at some of them.

    No two neighbours are more than `apart` characters from one another.
    """
    headings = dict(_headings(text))
    found = {0: Level.HEADING, len(text): Level.HEADING}
    for at in headings:
        found[at] = Level.HEADING
    for pattern, level in ((_PARAGRAPH, Level.PARAGRAPH), (_SENTENCE, Level.SENTENCE)):
        for match in pattern.finditer(text):
            found.setdefault(match.end(), level)
    for begin, end in pairwise(sorted(found)):
        found.update(_within(text, begin, end, apart))
    return sorted(found.items()), headings


def _headings(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line, below in pairwise([*text.splitlines(keepends=True), ""]):
        if found := heading(line.rstrip("\r\n"), below.rstrip("\r\n")):
            yield at, found
        at += len(line)


def _within(text: str, begin: int, end: int, apart: int) -> Iterator[tuple[int, Level]]:
    """Yield boundaries in a stretch that has none: at the last space that is near enough, else where it must be."""
    while end - begin > apart:
        spaces = [match.end() for match in _WORD.finditer(text, begin + 1, begin + apart)]
        begin, level = (spaces[-1], Level.WORD) if spaces else (begin + apart, Level.ANYWHERE)
        yield begin, level
