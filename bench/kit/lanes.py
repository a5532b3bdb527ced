"""What one job costs at each provider's list prices: at once, on a slow lane, in a batch, with its cache or without."""

from collections.abc import Iterator
from dataclasses import dataclass

from firstline.config.providers.prices import Terms, price_of
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Lane, Model
from firstline.workers.rules.pricing import dollars

#: Models of the providers' lists, a cheap and a strong one each.
MODELS = (
    "openai/gpt-6-luna",
    "openai/gpt-6.1-sol",
    "anthropic/claude-haiku-5-5",
    "anthropic/claude-sonnet-5-5",
    "gemini/gemini-3.5-flash-lite",
    "gemini/gemini-3.1-pro-preview",
    "deepseek/deepseek-v4-flash",
    "mistral/mistral-small-latest",
)
LANES = (Lane.STANDARD, Lane.FLEX, Lane.BATCH)
_UNKNOWN = "–"  # noqa: RUF001 # as everywhere
#: Tokens below which no provider keeps a prefix.
SHORTEST = 1024


@dataclass(frozen=True, slots=True)
class Work:
    """A job: so many prompts, what is the same in all of them, what is an item's own, and an answer."""

    calls: int = 1000
    static: int = 4000
    own: int = 300
    answer: int = 100


def cost_usd(model: str, work: Work, lane: Lane, *, cache: bool) -> float | None:
    """Return the dollars of a job; None where the lane has no listed price.

    With the cache the first prompt writes what is the same, at the price of a write, and all others read it. The lowest
    of several writers at once: one call goes ahead.
    """
    price = price_of(Model(name=model), Terms(prompt_tokens=work.static + work.own, lane=lane, asked=lane))
    if price is None:
        return None
    sent, static = work.static + work.own, work.static if cache and work.static >= SHORTEST else 0
    first = dollars(Usage(input_tokens=sent, cache_write_tokens=static, output_tokens=work.answer), price)
    other = dollars(Usage(input_tokens=sent, cached_tokens=static, output_tokens=work.answer), price)
    return None if first is None or other is None else first + (work.calls - 1) * other


def pays(model: str, work: Work, lane: Lane = Lane.STANDARD) -> bool | None:
    """Say whether what is saved by reading is more than what writing costs on top; None where nobody knows."""
    with_cache, without = (cost_usd(model, work, lane, cache=cache) for cache in (True, False))
    return None if with_cache is None or without is None else with_cache < without


def table(work: Work) -> Iterator[str]:
    """Yield the lines of the table of lanes and cache."""
    heads = [f"{lane.value}{' + cache' if cache else ''}" for lane in LANES for cache in (False, True)]
    prompt = f"{work.static:,} tokens that are the same, {work.own:,} of their own, {work.answer:,} answered"
    yield f"{work.calls:,} calls of {prompt}:"
    yield f"{'':32}" + "".join(f"{head:>18}" for head in heads)
    for model in MODELS:
        costs = (cost_usd(model, work, lane, cache=cache) for lane in LANES for cache in (False, True))
        yield f"{model:32}" + "".join(f"{_UNKNOWN if cost is None else f'${cost:,.4f}':>18}" for cost in costs)
