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
