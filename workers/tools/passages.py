"""A document as passages: sections first, then whole paragraphs up to a size, with ids that stay the same."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_MARKDOWN_HEADING = re.compile(r"#{1,6}\s+(?P<title>\S.*)")
_RST_UNDERLINE = re.compile(r"([=\-`:'\"~^_*+#<>.])\1{2,}\s*")
_FIELD_TITLE = re.compile(r"^title:\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


class Passage(NamedTuple):
    """A piece of a document: `pep-0440#12` is the twelfth of `pep-0440`."""

    id: str
    #: Title of the document, and of the section where there is one.
    title: str
    text: str


def split(document: str, text: str, *, chars: int) -> list[Passage]:
    """Return the passages of a document named `document`, each about `chars` characters at most.

    The same text and size always give the same ids. Words longer than `chars` are cut.
    """
    sections = list(_sections(text))
    title = _title(text, sections) or document
    pieces = ((heading, piece) for heading, body in sections for piece in _pieces(body, chars))
    return [
        Passage(f"{document}#{number}", f"{title} > {heading}" if heading not in {"", title} else title, piece)
        for number, (heading, piece) in enumerate(pieces, 1)
    ]


def _title(text: str, sections: list[tuple[str, str]]) -> str:
    field = _FIELD_TITLE.search(text[:2000])
    return field[1].strip() if field else next((heading for heading, _ in sections if heading), "")


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading, body) in order; the part before the first heading has an empty heading."""
    title = ""
    body: list[str] = []
    for line, below in pairwise([*text.splitlines(), ""]):
        found = heading(line, below)
        if found:
            yield title, "\n".join(body)
            title, body = found, []
        elif not _RST_UNDERLINE.fullmatch(line):
            body.append(line)
    yield title, "\n".join(body)


def heading(line: str, below: str) -> str | None:
    """Return the title that a line is, by its marks or by the line under it; None: it is no heading."""
    if marked := _MARKDOWN_HEADING.fullmatch(line.strip()):
        return marked["title"].strip("# ")
    is_underlined = _RST_UNDERLINE.fullmatch(below) and len(below.rstrip()) >= len(line.rstrip())
    return line.strip() if is_underlined and line.strip() and not _RST_UNDERLINE.fullmatch(line) else None


def _pieces(body: str, chars: int) -> Iterator[str]:
    paragraphs = (part for paragraph in re.split(r"\n\s*\n", body) for part in _fit(paragraph.strip("\n"), chars))
    yield from _packed(paragraphs, chars, "\n\n")


def _fit(paragraph: str, chars: int) -> Iterator[str]:
    if len(paragraph) <= chars:
        yield paragraph
    else:
        sentences = (part for sentence in _SENTENCE_END.split(paragraph) for part in _cut(sentence, chars))
        yield from _packed(sentences, chars, " ")


def _cut(sentence: str, chars: int) -> Iterator[str]:
    words = (word[at : at + chars] for word in sentence.split() for at in range(0, len(word), chars))
    return _packed(words, chars, " ") if len(sentence) > chars else iter([sentence])


def _packed(parts: Iterator[str], chars: int, between: str) -> Iterator[str]:
    """Yield neighbours joined as long as they fit."""
    held = ""
    for part in parts:
        if not part.strip():
            continue
        if held and len(held) + len(between) + len(part) > chars:
            yield held
            held = part
        else:
            held = f"{held}{between}{part}" if held else part
    if held:
        yield held
