"""What was extracted stands in the source."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from firstline.schemas.base import Json
from firstline.schemas.check import Grounded
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief, texts

#: Letters and digits of scripts that put spaces between words; others (Thai, Chinese, Japanese, Korean) have no
#: word edges to respect.
_SPACED = r"[^\W_\u0e00-\u0eff\u2e80-\ud7ff\uf900-\ufaff\uff66-\uffdc]"
_WORDS = re.compile(r"[^\W_]+")
_SHOWN = 3


def reason(spec: Grounded, value: Json, subject: Subject) -> str | None:
    """Say which texts do not stand in the source; numbers and other values that are no text are not looked at."""
    sources = subject.sources(spec.source)
    ground = Ground("\n".join(text for source in sources.values() for text in texts(source)))
    missing = [text for text in dict.fromkeys(texts(value)) if not ground.holds(text, normalised=spec.normalised)]
    if not missing:
        return None
    shown = ", ".join(repr(brief(text)) for text in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    where = " or ".join(f"`{name}`" for name in sources) or f"`{spec.source}`, which is missing"
    return f"{shown}{more}: does not stand in {where}; copy the words as they stand there"


def stands_in(text: str, source: str, *, normalised: bool) -> bool:
    """Say whether the text stands in the source, not beginning or ending within a word or number.

    Normalised: or does so once case, white space and punctuation are set aside (Unicode NFKC, case-folded).
    """
    return Ground(source).holds(text, normalised=normalised)


@dataclass(frozen=True)
class Ground:
    """A source to look for many texts in."""

    text: str

    def holds(self, text: str, *, normalised: bool) -> bool:
        """Say whether the text stands here, as it is or normalised."""
        return self._holds_verbatim(text) or (normalised and self._holds_squeezed(text))

    def _holds_verbatim(self, text: str) -> bool:
        if not text or text not in self.text:
            return not text
        before = f"(?<!{_SPACED})" if _is_spaced(text[0]) else ""
        after = f"(?!{_SPACED})" if _is_spaced(text[-1]) else ""
        return re.search(f"{before}{re.escape(text)}{after}", self.text) is not None

    def _holds_squeezed(self, text: str) -> bool:
        wanted, _ = _squeeze(text)
        squeezed, edges = self._squeezed
        at = squeezed.find(wanted) if wanted else -1
        while at >= 0:
            end = at + len(wanted)
            if (at in edges or not _is_spaced(wanted[0])) and (end in edges or not _is_spaced(wanted[-1])):
                return True
            at = squeezed.find(wanted, at + 1)
        return False

    @cached_property
    def _squeezed(self) -> tuple[str, frozenset[int]]:
        return _squeeze(self.text)


def _squeeze(text: str) -> tuple[str, frozenset[int]]:
    """Return a text without what is neither letter nor digit, and the offsets where its words begin and end.

    Between two numbers a space stays: 1 and 20 are not 120.
    """
    parts: list[str] = []
    edges, length = {0}, 0
    for word in _WORDS.findall(unicodedata.normalize("NFKC", text).casefold()):
        if parts and parts[-1][-1].isdigit() and word[0].isdigit():
            parts.append(" ")
            length += 1
            edges.add(length)
        parts.append(word)
        length += len(word)
        edges.add(length)
    return "".join(parts), frozenset(edges)


def _is_spaced(character: str) -> bool:
    return re.match(_SPACED, character) is not None
