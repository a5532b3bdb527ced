"""Whether litellm's map of models has a price for one, without importing litellm (4 s, 160 MB)."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from firstline.schemas.tier import Model, Price

_MAP = "model_prices_and_context_window_backup.json"


def has_price(model: Model) -> bool | None:
    """Return whether input and output of a model have a price, its own or the map's; None where there is no map."""
    if model.price is not None and None not in (model.price.input, model.price.output):
        return True
    known = _known_models()
    if known is None:
        return None
    entry = known.get(model.name) or _without_provider(known, model.name)
    return "input_cost_per_token" in entry and "output_cost_per_token" in entry


def _without_provider(known: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the entry of `openai/gpt-x` under `gpt-x`, unless that is another provider's model of the same name."""
    provider, _, rest = name.partition("/")
    entry = known.get(rest, {})
    return entry if str(entry.get("litellm_provider", "")).startswith(provider) else {}


def listed_price(model: Model) -> Price | None:
    """Return the map's price of a model per million tokens; None where it has none."""
    known = _known_models() or {}
    entry = known.get(model.name) or _without_provider(known, model.name)
    if "input_cost_per_token" not in entry or "output_cost_per_token" not in entry:
        return None
    cached = entry.get("cache_read_input_token_cost")
    return Price(
        input=entry["input_cost_per_token"] * 1e6,
        cached_input=None if cached is None else cached * 1e6,
        output=entry["output_cost_per_token"] * 1e6,
        source="litellm's map",
    )


@cache
def _known_models() -> dict[str, dict[str, Any]] | None:
    # `find_spec` of a top-level package finds it without running it.
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    try:
        found: dict[str, dict[str, Any]] = json.loads(Path(spec.origin).with_name(_MAP).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found
