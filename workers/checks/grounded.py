"""What was extracted stands in the source."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import regex

from firstline.schemas.base import Json
from firstline.schemas.check import Grounded
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief, texts

#: Letters and digits of scripts that put spaces between words; others (Thai, Chinese, Japanese, Korean) have no
#: word edges to respect.
_SPACED = regex.compile(r"[^\W_\u0e00-\u0eff\u2e80-\ud7ff\uf900-\ufaff\uff66-\uffdc]")
#: Runs of plain letters, which need no looking at, and graphemes.
_PIECE = regex.compile(r"(?P<plain>[A-Za-z]+(?![\p{M}\u200c\u200d]))|\X")
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_QUOTES = "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u2032\u2033"
#: Signs that mean something wherever they stand; other punctuation counts only between digits.
_SIGNS = "%\u2030&@\u00a7\u00b0+<>=~\u00ac\u00b1\u00d7\u00f7\u2260\u2264\u2265"
_BETWEEN_DIGITS = ".,:/'\u2019"
_MARKS = ("Mn", "Mc", "Me")
_SHOWN = 3


class Place(NamedTuple):
    """Where a text stands: characters of a source, from `start` to before `end`."""

    start: int
    end: int


def reason(spec: Grounded, value: Json, subject: Subject) -> str | None:
    """Say which texts do not stand in the source; numbers and other values that are no text are not looked at."""
    sources = subject.sources(spec.source)
    grounds = [Ground(text) for source in sources.values() for text in texts(source)]
    wanted = dict.fromkeys(texts(value))
    missing = [text for text in wanted if not any(ground.find(text, normalised=spec.normalised) for ground in grounds)]
    if not missing:
        return None
    shown = ", ".join(repr(brief(text)) for text in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    where = " or ".join(f"`{name}`" for name in sources) or f"`{spec.source}`, which is missing"
    return f"{shown}{more}: does not stand in {where}; copy the words as they stand there"


def find(text: str, source: str, *, normalised: bool) -> Place | None:
    """Return where the text first stands in the source, not beginning or ending within a word, number or sign.

    Normalised: or does so once what does not distinguish is set aside: case, width, ligatures, soft hyphens, line
    breaks, quotes, spaces, punctuation outside numbers (Unicode NFKC, case-folded). Marks of letters, superscripts,
    currency and comparison signs, minus signs and decimal marks stay.
    """
    return Ground(source).find(text, normalised=normalised)


@dataclass(frozen=True)
class Ground:
    """A source to look for many texts in."""

    text: str

    def find(self, text: str, *, normalised: bool) -> Place | None:
        """Return where the text first stands here, as it is or normalised; an empty one stands at the beginning."""
        if not text:
            return Place(0, 0)
        return self._verbatim(text) or (self._normalised(text) if normalised else None)

    def _verbatim(self, text: str) -> Place | None:
        at = self.text.find(text)
        while at >= 0:
            if _is_whole(self.text, at, at + len(text)):
                return Place(at, at + len(text))
            at = self.text.find(text, at + 1)
        return None

    def _normalised(self, text: str) -> Place | None:
        wanted = _normal(text).letters
        source = self._normal
        at = source.letters.find(wanted) if wanted else -1
        while at >= 0:
            place = source.place(at, at + len(wanted))
            if place is not None and _is_whole(self.text, place.start, place.end):
                return place
            at = source.letters.find(wanted, at + 1)
        return None

    @cached_property
    def _normal(self) -> "_Normal":
        return _normal(self.text)


class _Normal(NamedTuple):
    """A text with what does not distinguish set aside."""

    letters: str
    #: For each letter, where the grapheme that it comes from begins and ends.
    starts: list[int]
    ends: list[int]

    def place(self, start: int, end: int) -> Place | None:
        """Return where a span of letters stands; None where it cuts a grapheme."""
        cuts = (start > 0 and self._is_one(start - 1)) or (end < len(self.letters) and self._is_one(end - 1))
        return None if cuts else Place(self.starts[start], self.ends[end - 1])

    def _is_one(self, at: int) -> bool:
        """Say whether a letter and the next one come from the same grapheme."""
        return self.starts[at] == self.starts[at + 1] and self.ends[at] == self.ends[at + 1]


def _normal(text: str) -> _Normal:
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    apart = False
    for match in _PIECE.finditer(text):
        start, end = match.span()
        if match["plain"]:
            letters.extend(match[0].lower())
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
            apart = False
            continue
        kept = _kept(text, start, end)
        if kept and apart and letters and letters[-1].isdigit() and kept[0].isdigit():
            letters.append(" ")  # 1 and 20 are not 120
            starts.append(start)
            ends.append(start)
        apart = not kept
        letters.extend(kept)
        starts.extend([start] * len(kept))
        ends.extend([end] * len(kept))
    return _Normal("".join(letters), starts, ends)


def _kept(text: str, start: int, end: int) -> str:
    """Return what is left of one grapheme; nothing where it does not distinguish."""
    cluster = text[start:end]
    first = cluster[0]
    if first.isalnum() and first.isascii():
        return cluster.casefold() if len(cluster) == 1 else unicodedata.normalize("NFC", cluster.casefold())
    if first.isspace() or first in "\u00ad*_|#" or unicodedata.category(first) in ("Cf", "Cc", "Zs"):
        return _without_format(cluster)
    before, after = _digit_before(text, start), _digit_after(text, end)
    if first in _DASHES:
        return "-" if after and not _is_bullet(text, start, end) else ""
    if first in _BETWEEN_DIGITS:
        return _mark(first) if after and (before or first in ".,") else ""
    if first in _QUOTES:
        return ""
    return _folded(cluster)


def _without_format(cluster: str) -> str:
    """Return a cluster that begins with what is dropped: its letters, where there are any."""
    return "".join(letter.casefold() for letter in cluster if letter.isalnum())


def _folded(cluster: str) -> str:
    first = cluster[0]
    kind = unicodedata.category(first)
    if unicodedata.decomposition(first).startswith(("<super>", "<sub>", "<fraction>")):
        return cluster  # a power is no digit
    wide = unicodedata.normalize("NFKC", cluster).casefold()
    if kind == "Nd":
        return "".join(str(unicodedata.decimal(letter, letter)) for letter in wide)
    if kind[0] in "LMN" or kind in ("Sc", "So"):
        return unicodedata.normalize("NFC", "".join(letter for letter in wide if letter != "\u00ad"))
    return wide if wide and wide[0] in _SIGNS else ""


def _mark(mark: str) -> str:
    return "'" if mark == "\u2019" else mark


def _digit_before(text: str, start: int) -> bool:
    return start > 0 and text[start - 1].isdecimal()


def _digit_after(text: str, end: int) -> bool:
    return end < len(text) and text[end].isdecimal()


def _is_bullet(text: str, start: int, end: int) -> bool:
    """Say whether a dash joins a word to a number (`Covid-19`): it is no minus."""
    return start > 0 and text[start - 1].isalpha()


# Edges ------------------------------------------------------------------------------------------------------------


def _is_whole(text: str, start: int, end: int) -> bool:
    """Say whether a span begins and ends where a word, a number and a grapheme do."""
    return not (_cuts_left(text, start) or _cuts_right(text, end))


def _cuts_left(text: str, start: int) -> bool:
    if start == 0:
        return False
    first, before = text[start], text[start - 1]
    if unicodedata.category(first) in _MARKS:
        return _base(text, start).isalnum()
    if _is_spaced(first) and _ends_spaced(text, start):
        return True
    if not first.isdecimal():
        return False
    if before in _DASHES:
        further = text[start - 2] if start > 1 else " "
        return not (further.isalnum() or further in ".,)")
    return before in ".,'\u2019" and _is_in_number(text, start - 1)


def _cuts_right(text: str, end: int) -> bool:
    if end >= len(text):
        return False
    last, after = text[end - 1], text[end]
    if unicodedata.category(after) in _MARKS:
        return _base(text, end).isalnum()
    if _is_power(after):
        return last.isalnum() and not _is_note(text, end)
    if _is_spaced(after) and _ends_spaced(text, end):
        return True
    return last.isdecimal() and after in ".,'\u2019" and _digit_after(text, end + 1) and _is_in_number(text, end)


def _is_power(letter: str) -> bool:
    return unicodedata.decomposition(letter).startswith(("<super>", "<sub>"))


def _is_note(text: str, end: int) -> bool:
    """Say whether a superscript behind a word is a footnote's: behind a digit or a short unit it is a power."""
    word = regex.search(r"[^\W\d_]+$", text[max(0, end - 40) : end])
    return word is not None and len(word[0]) > 2


def _ends_spaced(text: str, at: int) -> bool:
    """Say whether a letter or digit of a spaced script ends before `at`, its marks passed over."""
    base = _base(text, at)
    return base != "" and _is_spaced(base)


def _base(text: str, at: int) -> str:
    """Return what stands before `at`, its marks passed over; empty at the beginning."""
    at -= 1
    while at > 0 and unicodedata.category(text[at]) in _MARKS:
        at -= 1
    return text[at] if at >= 0 else ""


def _is_in_number(text: str, at: int) -> bool:
    """Say whether a mark between digits belongs to one number: not in a date or a version (`31.12.2026`)."""
    around = next((match for match in _chains(text, at) if match.start() <= at < match.end()), None)
    return around is not None and _ONE_NUMBER.fullmatch(around[0]) is not None


def _chains(text: str, at: int) -> Iterator["regex.Match[str]"]:
    low = max(0, at - 60)
    return _CHAIN.finditer(text, low, min(len(text), at + 60))


_CHAIN = regex.compile(r"\d+(?:[.,'\u2019]\d+)*")
_ONE_NUMBER = regex.compile(r"\d{1,3}(?:[.,'\u2019]\d{3})+(?:[.,]\d+)?|\d+[.,]\d+")


def _is_spaced(letter: str) -> bool:
    return _SPACED.match(letter) is not None
