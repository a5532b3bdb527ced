"""What a call cost: the profile's prices, else the ones that litellm lists; unknown stays unknown."""

from collections.abc import Callable
from dataclasses import dataclass

from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Model, Price

_MILLION = 1_000_000

#: Returns the listed price of a model for a prompt of so many tokens, or None.
Lookup = Callable[[Model, int], Price | None]


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars of one call and where the price came from; both None where there is no price."""

    usd: float | None = None
    source: str | None = None


def cost(usage: Usage, model: Model, lookup: Lookup) -> Cost:
    """Return what a call cost; a figure that is needed and unknown makes the cost unknown."""
    price = model.price or lookup(model, usage.input_tokens or 0)
    if price is None:
        return Cost()
    return Cost(dollars(usage, price), price.source)


def dollars(usage: Usage, price: Price) -> float | None:
    """Return the dollars of a usage at a price per million tokens; cached input at the input price if it has none."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.cached_input if price.cached_input is not None else price.input
    parts = (
        _part(usage.input_tokens - cached, price.input),
        _part(cached, cached_price),
        _part(usage.output_tokens, price.output),
    )
    known = [part for part in parts if part is not None]
    return sum(known) / _MILLION if len(known) == len(parts) else None


def _part(tokens: int, price: float | None) -> float | None:
    if tokens == 0:
        return 0.0
    return None if price is None else tokens * price
