"""A prompt cache as providers keep it: the longest known prefix in blocks of tokens is cheaper."""

from collections import OrderedDict
from collections.abc import Iterator

from firstline.workers.simulator.tokens import CHARS_PER_TOKEN

_BLOCK_TOKENS = 128
_BLOCK_CHARS = _BLOCK_TOKENS * CHARS_PER_TOKEN


class PrefixCache:
    """Remembers the prefixes of prompts, least recently used ones forgotten first.

    Prefixes are counted in blocks of 128 tokens, as OpenAI's prompt caching does.
    """

    def __init__(self, blocks: int = 50_000) -> None:
        self._capacity = blocks
        self._known: OrderedDict[int, None] = OrderedDict()

    def cached_tokens(self, model: str, prompt: str, *, at_least: int) -> int:
        """Return how many leading tokens were seen before, 0 if fewer than `at_least`; then remember the prompt."""
        hits = 0
        unbroken = True
        for key in _prefix_keys(model, prompt):
            unbroken = unbroken and key in self._known
            hits += unbroken
            self._remember(key)
        tokens = hits * _BLOCK_TOKENS
        return tokens if tokens >= at_least else 0

    def _remember(self, key: int) -> None:
        self._known[key] = None
        self._known.move_to_end(key)
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)


def _prefix_keys(model: str, prompt: str) -> Iterator[int]:
    key = hash(model)
    for start in range(0, len(prompt) - _BLOCK_CHARS + 1, _BLOCK_CHARS):
        key = hash((key, prompt[start : start + _BLOCK_CHARS]))
        yield key


class MarkedPrefixes:
    """Prefixes that were marked: each is found whole or not at all, from when its first answer came until it dies."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, float]] = {}

    def is_read(self, model: str, prefix: str, *, now: float, answered_at: float, life_s: float) -> bool:
        """Return whether a prefix is there now, which keeps it for another life; else it is written."""
        place = (model, hash(prefix))
        from_, until = self._known.get(place, (answered_at, 0.0))
        found = from_ <= now < until
        self._known[place] = (from_ if found or now < until else answered_at, answered_at + life_s)
        return found
