"""How a profile's ladder is shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from firstline.orchestrator.cli._show import show_json, show_table

if TYPE_CHECKING:
    from firstline.schemas.tier import Limits, Model, Profile, Tier

_COLUMNS = ("tier", "model", "$ in / cached / out per million tokens", "limits", "at once")


def show_ladder(profile: "Profile", *, as_json: bool) -> None:
    """Print a ladder, cheapest tier first."""
    if as_json:
        show_json(profile)
        return
    typer.echo(f"{profile.name}: {profile.description}" if profile.description else profile.name)
    show_table(_COLUMNS, [row for tier in profile.tiers for row in _rows(tier)], right=("at once",))


def _rows(tier: "Tier") -> Iterator[tuple[object, ...]]:
    if not tier.models:
        yield (tier.name, "plain functions", "", "", tier.concurrency)
    for number, model in enumerate(tier.models):
        name, at_once = ("", "") if number else (tier.name, str(tier.concurrency))
        yield (name, model.name, _price(model), _limits(model.limits), at_once)


def _price(model: "Model") -> str:
    if model.price is None:
        return "by litellm's table"
    figures = (model.price.input, model.price.cached_input, model.price.output)
    return " / ".join("unknown" if figure is None else f"{figure:g}" for figure in figures)


def _limits(limits: "Limits") -> str:
    named = {
        "requests/min": limits.requests_per_minute,
        "tokens/min": limits.tokens_per_minute,
        "in flight": limits.in_flight,
    }
    return ", ".join(f"{figure:,g} {name}" for name, figure in named.items() if figure is not None)
