"""What a call cost: the provider's own figure, else its tokens of every kind at the price of its terms."""

import math
from dataclasses import dataclass

from firstline.config.providers.prices import Terms, price_of
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Model, Price, Rates

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars of one call and where the price came from; both None where there is no price."""

    usd: float | None = None
    source: str | None = None


#: What a call costs that the provider refused, or never had: nothing.
REFUSED = Cost(0.0, "refused")


def cost(usage: Usage, model: Model, terms: Terms) -> Cost:
    """Return what a call cost; a figure that is needed and unknown makes the cost unknown."""
    price = price_of(model, terms)
    usd = None if price is None else dollars(usage, price)
    return Cost() if price is None or usd is None else Cost(usd, _source(price))


def reckoned(usage: Usage, model: Model) -> float | None:
    """Return the dollars of tokens that are only expected, on the terms that the model's parameters ask for."""
    return cost(usage, model, Terms(prompt_tokens=usage.input_tokens or 0)).usd


def dollars(usage: Usage, rates: Rates) -> float | None:
    """Return the dollars of a usage at rates per million tokens.

    Each token is billed once: those of a cache, a sound or an image are taken out of the input. Without a rate of their
    own, cached tokens and images cost what input does, and reasoning and images what output does; what is written to a
    cache and sound cost more everywhere, so that without a rate of their own nobody knows.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    parts = (
        *_of_input(usage, usage.input_tokens, rates),
        *_of_output(usage, usage.output_tokens, rates),
        ((usage.searches or 0) * _MILLION, rates.search_usd),
    )
    bills = [_part(tokens, rate) for tokens, rate in parts]
    known = [bill for bill in bills if bill is not None]
    return sum(known) / _MILLION if len(known) == len(bills) else None


def _of_input(usage: Usage, left: int, rates: Rates) -> tuple[tuple[int, float | None], ...]:
    """Return the kinds of input tokens with their rates; no more of them than were sent."""
    cached, left = _take(usage.cached_tokens, left)
    written, left = _take(usage.cache_write_tokens, left)
    sound, left = _take(usage.audio_input_tokens, left)
    images, left = _take(usage.image_input_tokens, left)
    long, written = _take(usage.cache_write_long_tokens, written)
    return (
        (left, rates.input),
        (cached, _or(rates.cached_input, rates.input)),
        (written, rates.cache_write),
        (long, rates.cache_write_long),
        (sound, rates.audio_input),
        (images, _or(rates.image_input, rates.input)),
    )


def _of_output(usage: Usage, left: int, rates: Rates) -> tuple[tuple[int, float | None], ...]:
    sound, left = _take(usage.audio_output_tokens, left)
    images, left = _take(usage.image_output_tokens, left)
    thought, left = _take(usage.reasoning_tokens, left)
    return (
        (left, rates.output),
        (thought, _or(rates.reasoning, rates.output)),
        (sound, rates.audio_output),
        (images, _or(rates.image_output, rates.output)),
    )


def _take(part: int | None, whole: int) -> tuple[int, int]:
    """Return a part of a whole, and what is left of it."""
    taken = min(part or 0, whole)
    return taken, whole - taken


def _or(rate: float | None, other: float | None) -> float | None:
    return other if rate is None else rate


def _part(tokens: int, rate: float | None) -> float | None:
    if tokens == 0:
        return 0.0
    return None if rate is None else tokens * rate


def _source(price: Price) -> str:
    return price.source if price.as_of is None else f"{price.source}, {price.as_of:%Y-%m-%d}"


def dollars_in_full(amount_usd: float) -> str:
    """Return an amount with four decimals; a tiny one with as many as its first two digits need."""
    if 0 < abs(amount_usd) < 0.0001:
        return f"${amount_usd:.{1 - math.floor(math.log10(abs(amount_usd)))}f}"
    return f"${amount_usd:.4f}"
