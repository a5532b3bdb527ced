"""Where a reasoning model's thoughts stand in its text: the tags and channels of the known families."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

#: Tags that no answer is written in, in any case: DeepSeek, Qwen, GLM, EXAONE, Seed and most others.
_SURE = r"think|thinking|thoughts?|seed:think|ant_?thinking"
#: Tags of prompts and fine-tuned models around what comes before an answer; in an answer of text they may be its form.
_LIKELY = r"reason|reasoning|reflection|scratchpad|analysis|rationale|cot|chain[-_ ]of[-_ ]thought|inner_monologue"

#: Marks that open and close thoughts: Magistral, Cohere, Open-Thoughts, Kimi, MedGemma, Apertus, Gemma.
_PAIRS = {
    "[THINK]": "[/THINK]",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "◁think▷": "◁/think▷",
    "<unused94>": "<unused95>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "<|think|>": "<|/think|>",
}
#: Words behind which the answer begins, whatever came before: Apriel.
_FINAL = r"\[BEGIN FINAL RESPONSE\]"
#: The same where the text begins with the first of the pair: gpt-oss without its marks, Granite.
_PHRASES = (("analysis", "assistantfinal"), ("here is my thought process", "here is my response:"))
#: OpenAI's harmony: `<|channel|>NAME ...<|message|>`.
_CHANNEL = r"<\|channel\|>\s*(?P<channel>[a-z]+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
_NEXT_CHANNEL = re.compile(r"<\|(?:channel|start|end|return|call)\|>")


class Mark(Enum):
    """What a mark in a text means."""

    #: What follows is thought, up to `ThoughtMark.end`.
    THOUGHT = "thought"
    #: What came before was thought.
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class ThoughtMark:
    """A mark in a text: from `start`; the answer may go on at `end`."""

    mark: Mark
    start: int
    end: int
    #: Where the mark itself ends.
    begun: int = 0


def _pattern(names: str) -> re.Pattern[str]:
    opening = "|".join([rf"(?P<open><\s*(?P<name>{names})(?:\s[^<>]*)?>)", *(re.escape(mark) for mark in _PAIRS)])
    closing = "|".join([rf"<\s*/\s*(?:{names})\s*>", *map(re.escape, _PAIRS.values()), _FINAL])
    return re.compile(rf"(?P<closing>{closing})|(?P<opening>{opening})|{_CHANNEL}", re.IGNORECASE)


_JSON_MARKS = _pattern(f"{_SURE}|{_LIKELY}")
_TEXT_MARKS = _pattern(_SURE)


def next_mark(text: str, start: int, *, plain: bool = False) -> ThoughtMark | None:
    """Return the next mark from a place on; one that is only spoken of (in quotation marks) is none.

    `plain`: the answer is a text, in which only what is surely a mark counts.
    """
    for found in (_TEXT_MARKS if plain else _JSON_MARKS).finditer(text, start):
        if not _is_quoted(text, found):
            return _meaning(text, found)
    return None


def begin(text: str) -> int:
    """Return where the answer begins behind thoughts that are marked by phrases alone; 0 without any."""
    lowered = text.lstrip().lower()
    for first, last in _PHRASES:
        if lowered.startswith(first) and (at := text.lower().rfind(last)) >= 0:
            return at + len(last)
    return 0


def without_thoughts(text: str) -> tuple[tuple[int, int], ...]:
    """Return the pieces of a plain text that are no thoughts, in order; none where there are nothing but thoughts.

    Thoughts amid an answer count where they begin a line: elsewhere a tag is a word like any other.
    """
    pieces: list[tuple[int, int]] = []
    start = at = begin(text)
    while (mark := next_mark(text, at, plain=True)) is not None:
        at = mark.end
        if mark.mark is Mark.ANSWER:
            pieces, start = [], mark.end
        elif not text[text.rfind("\n", 0, mark.start) + 1 : mark.start].strip() or not text[start : mark.start].strip():
            pieces, start = [*pieces, (start, mark.start)], mark.end
        else:
            at = mark.begun
    stripped = (_strip(text, *piece) for piece in (*pieces, (start, len(text))))
    return tuple(piece for piece in stripped if piece[0] < piece[1])


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    bare = text[start:end].strip()
    first = text.index(bare, start) if bare else start
    return first, first + len(bare)


def _meaning(text: str, found: re.Match[str]) -> ThoughtMark:
    if found["closing"]:
        return ThoughtMark(Mark.ANSWER, found.start(), found.end())
    if channel := found["channel"]:
        return _channel(text, found, channel.lower())
    return ThoughtMark(Mark.THOUGHT, found.start(), _end_of_thought(text, found), found.end())


def _channel(text: str, found: re.Match[str], name: str) -> ThoughtMark:
    is_call = name == "commentary" and "to=" in found[0]
    if name == "final" or is_call:
        return ThoughtMark(Mark.ANSWER, found.start(), found.end())
    later = _NEXT_CHANNEL.search(text, found.end())
    return ThoughtMark(Mark.THOUGHT, found.start(), later.start() if later else len(text), found.end())


def _end_of_thought(text: str, found: re.Match[str]) -> int:
    """Return where a thought that is opened ends: at its own closing mark, or at the end of a text without one."""
    name = found["name"]
    opening = rf"<\s*{re.escape(name)}(?:\s[^<>]*)?>" if name else re.escape(found["opening"])
    closing = rf"<\s*/\s*{re.escape(name)}\s*>" if name else re.escape(_closing_of(found["opening"]))
    ends = list(_closings(text, found.end(), opening, closing))
    return ends[0] if ends else len(text)


def _closings(text: str, start: int, opening: str, closing: str) -> Iterator[int]:
    """Yield the end of the closing mark that belongs to an opened one; of unequal numbers the last one in the text."""
    depth, last = 1, None
    for found in re.finditer(rf"(?P<open>{opening})|{closing}", text[start:], re.IGNORECASE):
        if found["open"]:
            depth += 1
            continue
        depth, last = depth - 1, start + found.end()
        if depth == 0:
            break
    if last is not None:
        yield last


def _closing_of(opening: str) -> str:
    return next(closing for mark, closing in _PAIRS.items() if mark.lower() == opening.lower())


def _is_quoted(text: str, found: re.Match[str]) -> bool:
    before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
    return bool(before) and before == after and before in "`\"'"
