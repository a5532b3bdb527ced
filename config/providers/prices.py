"""The one look-up of what a model costs: the profile's price, else litellm's list; unknown stays unknown."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from firstline.config.providers import price_list
from firstline.schemas.tier import Lane, Model, Price, Rates

#: What providers call their lanes where they do not call them as we do.
_NAMES = MappingProxyType(
    {
        "default": Lane.STANDARD,
        "on_demand": Lane.STANDARD,
        "on_demand_flex": Lane.FLEX,
        "on_demand_priority": Lane.PRIORITY,
    }
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a price depends on besides the model."""

    #: Tokens of the whole prompt: those of a long one may cost more each.
    prompt_tokens: int = 0
    #: As it was served; None: as it was asked.
    lane: Lane | None = None
    #: As it was asked; None: as the model's parameters say.
    asked: Lane | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: Where it was answered, as the provider said (`us`).
    geo: str | None = None
    #: The model that the provider says it was: Azure's deployments have names of their own.
    served: str | None = None


def price_of(model: Model, terms: Terms | None = None) -> Price | None:
    """Return what a model costs per million tokens on these terms, and where that stands; None: nobody knows.

    A price in the profile is that of the lane which the model is asked on; other lanes have theirs in `lanes`.
    """
    terms = terms or Terms()
    asked = terms.asked or asked_lane(model)
    lane = terms.lane or asked
    if model.price is not None:
        return _of_profile(model.price, terms, lane, asked)
    return _listed(model, terms, lane)


def has_price(model: Model) -> bool | None:
    """Return whether input and output of a model have a price; None where there is no list to look it up in."""
    price = price_of(model)
    if price is None:
        return None if model.price is None and price_list.entries() is None else False
    return None not in (price.input, price.output)


def asked_lane(model: Model) -> Lane:
    """Return the lane that a model's parameters ask for."""
    return lane_named(model.params.get("service_tier")) or Lane.STANDARD


def lane_named(name: object) -> Lane | None:
    """Return the lane that a provider's word means; None where it means none in particular (`auto`)."""
    word = str(name).lower()
    return _NAMES.get(word) or next((lane for lane in Lane if lane.value == word), None)


def _of_profile(price: Price, terms: Terms, lane: Lane, asked: Lane) -> Price | None:
    own: Rates | None = price if lane is asked else price.lanes.get(lane)
    if own is None:
        return None
    for length, rates in sorted(price.above.items()) if lane is asked else ():
        if terms.prompt_tokens > length:
            own = own.evolve(**_figures(rates))
    return Price(**_figures(own), source=price.source, as_of=price.as_of)


def _listed(model: Model, terms: Terms, lane: Lane) -> Price | None:
    entry = price_list.entry_of(model.name, terms.served)
    rates = (
        None if entry is None else price_list.rates(entry, prompt_tokens=terms.prompt_tokens, lane=lane, at=terms.at)
    )
    if entry is None or rates is None:
        return None
    location = model.params.get("vertex_location")
    factor = price_list.uplift(
        entry,
        api_base=model.api_base,
        location=location if isinstance(location, str) else None,
        geo=terms.geo,
        lane=lane,
    )
    figures = {kind: figure if kind == "search_usd" else figure * factor for kind, figure in _figures(rates).items()}
    source = price_list.source()
    return Price(**figures, source=source if lane is Lane.STANDARD else f"{source}, {lane.value}")


def _figures(rates: Rates) -> dict[str, float]:
    """Return the figures that are known."""
    return {name: value for name in Rates.model_fields if (value := getattr(rates, name)) is not None}
