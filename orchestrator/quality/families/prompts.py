"""The parts of a prompt that change from request to request, told from those that stay."""

import difflib
import re
from collections.abc import Iterable

#: Stands for what varies.
GAP = "{…}"
#: What varies by its very nature: dates, times, addresses, ids, long numbers.
_VARYING = re.compile(
    r"""https?://\S+
    | [\w.+-]+@[\w-]+\.[\w.-]+
    | \b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b
    | \b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b
    | \b\d{1,2}:\d{2}(?::\d{2})?\b
    | \b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b
    | \b\d{5,}\b""",
    re.VERBOSE,
)
#: Prompts that differ in the same places, before these places count as variable.
SIBLINGS = 5
#: Part of the words that has to stay, and how many these are at least.
_LIKENESS, _FEWEST = 0.7, 6
_MOST_GAPS = 8
#: Words of a prompt that are compared; what follows is compared as one.
_MOST_WORDS = 2000
_WORDS = re.compile(r"\S+\s*")


def masked(prompt: str) -> str:
    """Return a prompt with a gap for whatever varies by its nature."""
    return _VARYING.sub(GAP, prompt)


def skeleton(one: str, other: str) -> str | None:
    """Return what two prompts share, a gap where they differ; None where that is too little to be one prompt."""
    mine, theirs = _words(one), _words(other)
    blocks = difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks()
    kept = sum(block.size for block in blocks)
    if kept < max(_FEWEST, _LIKENESS * max(len(mine), len(theirs))) or len(blocks) - 2 > _MOST_GAPS:
        return None
    parts, at, to = [], 0, 0
    for block in blocks:
        if block.a > at or block.b > to:
            parts.append(f"{GAP} ")
        parts.extend(mine[block.a : block.a + block.size])
        at, to = block.a + block.size, block.b + block.size
    return "".join(parts).strip()


def _words(prompt: str) -> list[str]:
    words = _WORDS.findall(prompt)
    rest = "".join(words[_MOST_WORDS:])
    return [*words[:_MOST_WORDS], *([rest] if rest else [])]


def common_skeleton(prompt: str, known: Iterable[str]) -> tuple[str, list[str]] | None:
    """Return what a prompt shares with most of the `known` ones, and these; None where fewer than it takes do."""
    found: dict[str, list[str]] = {}
    for other in known:
        shared = skeleton(prompt, other)
        if shared is not None:
            found.setdefault(shared, []).append(other)
    best = max(found, key=lambda shared: len(found[shared]), default=None)
    return (best, found[best]) if best is not None and len(found[best]) + 1 >= SIBLINGS else None


def fits(shared: str, prompt: str) -> bool:
    """Say whether a prompt is one of a skeleton's, in time linear in its length."""
    parts = [" ".join(part.split()) for part in shared.split(GAP)]
    text = " ".join(prompt.split())
    if not text.startswith(parts[0]) or not text.endswith(parts[-1]):
        return False
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True
