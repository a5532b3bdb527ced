"""Patterns that strangers bring, matched in a process of their own: one that runs away costs its item alone.

The engine backtracks, and some patterns of a hundred characters take all memory when they are only compiled.
"""

import time
from collections.abc import Sequence

from firstline.workers.rules.function_hosts import FunctionHosts
from firstline.workers.rules.user_functions import Broken, FunctionCall

#: Seconds for all texts of one search, and for what stands before it.
TIMEOUT_S, _LIMIT_S = 0.5, 3.0
_MEMORY_BYTES = 512 * 2**20
_hosts = FunctionHosts(2, memory_bytes=_MEMORY_BYTES)


def matches(
    pattern: str, texts: Sequence[str], *, full: bool = False, ignore_case: bool = False, every: bool = False
) -> list[list[str]]:
    """Return what matches in each text: its first match, or of `every` match the first group.

    TimeoutError: it takes too long; ValueError: it is no pattern, or takes too much memory.
    """
    named = {"full": full, "ignore_case": ignore_case, "every": every}
    found = _hosts(FunctionCall(f"{__name__}:matches_here", (pattern, texts), named, ()), _LIMIT_S)
    if isinstance(found, Broken):
        raise (TimeoutError if "did not return" in found.reason else ValueError)(found.reason.partition(" ")[2])
    if found.value is None:
        raise TimeoutError(f"the pattern takes more than {TIMEOUT_S:g} s; simplify it")
    return [list(map(str, one)) for one in found.value]


def matches_here(
    pattern: str, texts: Sequence[str], *, full: bool, ignore_case: bool, every: bool
) -> list[list[str]] | None:
    """Return what `matches` does, in this process; None: it takes too long."""
    import regex

    compiled = regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    until = time.monotonic() + TIMEOUT_S
    found: list[list[str]] = []
    try:
        for text in texts:
            left_s = max(0.001, until - time.monotonic())
            if every:
                found.append([match[1] for match in compiled.finditer(text, timeout=left_s) if match[1]])
            else:
                match = (compiled.fullmatch if full else compiled.search)(text, timeout=left_s)
                found.append([match[0]] if match else [])
    except TimeoutError:
        return None
    return found
