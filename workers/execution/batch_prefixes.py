"""Static parts in a provider batch: calls with the same one follow each other, marked where a batch's cache pays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from firstline.config.providers.prices import Terms, price_of
from firstline.config.providers.prompt_caches import cache_of
from firstline.schemas.tier import Lane
from firstline.workers.estimates.call_estimate import prompt_tokens, static_part
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.prompt_cache import Prefix, plan

#: Share of a batch's calls that find their prefix in the cache: the least that Anthropic says of its own (30% to 98%).
HITS = 0.3


def by_prefix(calls: Mapping[str, Call]) -> dict[str, Call]:
    """Return calls of one model under their names, ordered by their static part and marked as it pays."""
    groups: dict[int, list[str]] = {}
    for name, call in calls.items():
        # All calls of a skill share its messages.
        groups.setdefault(id(call.messages[0]) if call.static else -1, []).append(name)
    return {name: call for group in groups.values() for name, call in _marked(calls, group)}


def _marked(calls: Mapping[str, Call], names: Sequence[str]) -> list[tuple[str, Call]]:
    first = calls[names[0]]
    tokens = prompt_tokens(static_part(first)) if first.static else 0
    price = price_of(first.model, Terms(prompt_tokens=tokens, lane=Lane.BATCH, asked=Lane.BATCH))
    chosen = plan(cache_of(first.model), price, Prefix(tokens, len(names) - 1, hits=HITS))
    return [(name, replace(calls[name], cached=chosen.mark)) for name in names]
