"""Whether a prompt's static part is worth a place in the provider's cache: the one place that decides; pure.

Marking n calls costs a surcharge for each that writes the prefix and saves something for each that reads it. It is done
where reads x (input - cached) > writes x (write - input), at the model's own prices, and nowhere else.
"""

from dataclasses import dataclass

from firstline.schemas.tier import CacheMarks, PromptCache, Rates


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is known of a static part."""

    tokens: int
    #: Calls with the same prefix that are expected to come after this one while it lives.
    reads: float
    #: Share of those that find it: all, unless the provider promises less (a batch).
    hits: float = 1.0
    #: It is in the cache now, so that nothing needs to be written.
    is_alive: bool = False


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What is done about the cache for one call."""

    #: What the call says: True marks the prefix, False has nothing kept, None says nothing.
    mark: bool | None = None
    #: The calls that follow wait for this one: each would write the prefix once more.
    warm: bool = False


#: Nothing is said and nobody waits.
LEFT_ALONE = CachePlan()


def plan(cache: PromptCache | None, price: Rates | None, prefix: Prefix) -> CachePlan:
    """Return what to do about the cache for a call; what nobody knows the price of is not marked."""
    if cache is None or cache.marks is CacheMarks.AUTOMATIC:
        return LEFT_ALONE
    # Without a word some providers write the whole prompt, of which nothing is ever read again.
    unmarked = CachePlan(mark=False if cache.marks is CacheMarks.BREAKPOINT else None)
    if price is None or prefix.tokens < cache.min_tokens:
        return unmarked
    saved, surcharge = saving(price), write_surcharge(price)
    if saved is None or surcharge is None:
        return unmarked
    if prefix.is_alive:
        return CachePlan(mark=True) if saved > 0 else unmarked
    reads = prefix.hits * prefix.reads
    writes = 1 + prefix.reads - reads
    if reads * saved <= writes * surcharge:
        return unmarked
    return CachePlan(mark=True, warm=surcharge > 0)


def saving(price: Rates) -> float | None:
    """Return the dollars that a million tokens cost less when they are read from the cache; None: unknown."""
    return None if price.input is None or price.cached_input is None else price.input - price.cached_input


def write_surcharge(price: Rates) -> float | None:
    """Return the dollars that a million tokens cost more when they are written to the cache; None: unknown."""
    return None if price.input is None or price.cache_write is None else max(0.0, price.cache_write - price.input)
