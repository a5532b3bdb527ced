"""litellm's list of models and prices, read as data: importing litellm takes 4 s and 160 MB."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from firstline.schemas.tier import Lane, Rates

Entry = Mapping[str, Any]

_FILE = "model_prices_and_context_window_backup.json"
_MILLION = 1_000_000
#: A kind of token -> its figure in an entry.
_FIGURES = MappingProxyType(
    {
        "input": "input_cost_per_token",
        "cached_input": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "output": "output_cost_per_token",
        "reasoning": "output_cost_per_reasoning_token",
        "audio_input": "input_cost_per_audio_token",
        "image_input": "input_cost_per_image_token",
        "audio_output": "output_cost_per_audio_token",
        "image_output": "output_cost_per_image_token",
    }
)
#: Writes to a cache that keeps them longer than usual: an hour (Anthropic), twelve (OpenAI).
_LONG_WRITES = ("cache_creation_input_token_cost_above_1hr", "cache_creation_input_token_cost_above_12hr")
#: How an entry marks the figures of a lane.
_SUFFIXES = MappingProxyType(
    {
        Lane.FLEX: "_flex",
        Lane.BALANCED: "_balanced",
        Lane.PRIORITY: "_priority",
        Lane.FAST: "_priority",
        Lane.ULTRAFAST: "_ultrafast",
        Lane.BATCH: "_batches",
    }
)
_ABOVE = re.compile(r"_above_(\d+)(k?)_tokens")
#: Words between a provider and a model that only choose how the model is asked.
_ROUTES = frozenset({"chat", "converse", "converse_like", "gpt5_series", "invoke", "o_series", "responses"})
#: What Bedrock puts before a model to say where it may be answered.
_PLACES = frozenset({"us", "eu", "apac", "au", "ca", "jp", "global", "us-gov"})
#: Providers that take the higher price from the very length at which others still take the lower one.
_INCLUSIVE = frozenset({"xai"})
#: Providers that bill cached tokens below the price of input though the list does not say so -> their share of it.
_CACHED_SHARE = MappingProxyType({"fireworks_ai": 0.5})
#: Providers whose Batch API takes half the price wherever the list does not say.
_HALF_IN_BATCHES = frozenset({"openai", "azure", "anthropic", "gemini", "vertex_ai", "mistral", "bedrock"})
#: First part of OpenAI's host where data stays in one place -> what that costs.
_ZONES = MappingProxyType(
    {
        "eu": "regional_processing_uplift_multiplier_eu",
        "us": "regional_processing_uplift_multiplier_us",
        "gov": "fedramp_uplift_multiplier",
    }
)
_OWNER = "litellm_provider"


def source() -> str:
    """Return how an attempt names this list."""
    return f"litellm {version('litellm')}"


@cache
def entries() -> Mapping[str, Entry] | None:
    """Return every model of the list by name; None where litellm is not installed."""
    # `find_spec` of a top-level package finds it without running it.
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    try:
        found: dict[str, Entry] = json.loads(Path(spec.origin).with_name(_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found


def entry_of(name: str, served: str | None = None) -> Entry | None:
    """Return a model's entry: under its full name, or its bare one where that is the same provider's model.

    `served`: the model that a deployment of Azure turned out to be.
    """
    known = entries() or {}
    provider = name.partition("/")[0] if "/" in name else ""
    names = [*_names(name)]
    if served and provider == "azure":
        names += _names(f"{provider}/{served}")
    for candidate in names:
        entry = known.get(candidate)
        if entry is not None and (candidate == name or _is_of(entry, provider)):
            return entry
    return None


def _names(name: str) -> Iterator[str]:
    """Yield the names that a model may be listed under, the most exact one first."""
    yield name
    provider, slash, rest = name.partition("/")
    if not slash:
        return
    route, slash, beyond = rest.partition("/")
    if slash and route in _ROUTES:
        rest = beyond
        yield f"{provider}/{rest}"
    yield rest
    if provider == "bedrock":
        last = rest.rpartition("/")[2]
        yield last
        place, dot, model = last.partition(".")
        if dot and place in _PLACES:
            yield model
    if rest.startswith("ft:"):
        yield ":".join(rest.split(":")[:2])


def _is_of(entry: Entry, provider: str) -> bool:
    """Say whether an entry is of that provider or one of its services (`bedrock_converse`, `vertex_ai-...`)."""
    owner = str(entry.get(_OWNER, ""))
    return owner == provider or owner.startswith((f"{provider}_converse", f"{provider}-"))


def rates(entry: Entry, *, prompt_tokens: int, lane: Lane, at: datetime) -> Rates | None:
    """Return an entry's rates for a prompt of that length, a lane and an hour; None where the lane has no price."""
    figures = _of_length(entry, prompt_tokens) or _of_lane(entry, prompt_tokens, lane)
    if figures is None:
        return None
    figures |= _off_peak(entry, at)
    provider, price = str(entry.get(_OWNER)), figures.get("input")
    # What the list does not say is billed as plain input.
    cached = None if price is None else price * _CACHED_SHARE.get(provider, 1.0)
    figures.setdefault("cached_input", cached)
    for kind in ("cache_write", "audio_input", "image_input"):
        figures.setdefault(kind, price)
    figures.setdefault("cache_write_long", figures["cache_write"])
    for kind in ("reasoning", "audio_output", "image_output"):
        figures.setdefault(kind, figures.get("output"))
    searches = entry.get("search_context_cost_per_query") or {}
    each = searches.get("search_context_size_medium")
    millions = {kind: None if figure is None else figure * _MILLION for kind, figure in figures.items()}
    return Rates(**millions, search_usd=None if each is None else float(each))


def _of_lane(entry: Entry, tokens: int, lane: Lane) -> dict[str, float | None] | None:
    """Return the figures of one lane; what it leaves out beside input and output is the standard lane's."""
    suffix, share = _SUFFIXES.get(lane, ""), 1.0
    if lane is Lane.FAST and "fast" in (entry.get("provider_specific_entry") or {}):
        suffix = ""
    if suffix and not any(_FIGURES[kind] + suffix in entry for kind in ("input", "output")):
        if lane is not Lane.BATCH or str(entry.get(_OWNER)).partition("_converse")[0] not in _HALF_IN_BATCHES:
            return None
        suffix, share = "", 0.5
    found = {kind: _figure(entry, key, tokens, suffix) for kind, key in _keys(entry).items()}
    if suffix and entry.get(_FIGURES["output"] + suffix) is not None:
        # A lane with its own price of output bills reasoning at that, unless it says otherwise.
        found["reasoning"] = _number(entry.get(_FIGURES["reasoning"] + suffix))
    return {kind: figure * share for kind, figure in found.items() if figure is not None}


def _keys(entry: Entry) -> dict[str, str]:
    """Return the figures that an entry may have; a long write is called by how long it is kept."""
    long = next((key for key in _LONG_WRITES if key in entry), _LONG_WRITES[0])
    return {**_FIGURES, "cache_write_long": long}


def _figure(entry: Entry, key: str, tokens: int, suffix: str) -> float | None:
    """Return one figure for a prompt of that length: the longest length that it passes counts."""
    figure = _first(entry, key + suffix, key)
    for length, mark in _lengths(entry, key):
        if tokens > length or (tokens == length and entry.get(_OWNER) in _INCLUSIVE):
            above = _first(entry, f"{key}{mark}{suffix}", f"{key}{mark}")
            figure = figure if above is None else above
    return figure


def _lengths(entry: Entry, key: str) -> list[tuple[int, str]]:
    """Return the lengths from which a figure is another one, rising, with how they are written."""
    marks = (_ABOVE.match(name, len(key)) for name in entry if name.startswith(key))
    found = {(int(mark[1]) * (1000 if mark[2] else 1), mark[0]) for mark in marks if mark}
    return sorted(found)


def _of_length(entry: Entry, tokens: int) -> dict[str, float | None] | None:
    """Return the figures of the table by length that some entries have; all of them are of one row."""
    table = entry.get("tiered_pricing")
    rows = [row for row in table if isinstance(row.get("range"), Sequence)] if isinstance(table, list) else []
    if not rows or tokens <= 0:
        return None
    rows.sort(key=lambda row: float(row["range"][0]))
    row = next((row for row in rows if float(row["range"][0]) < tokens <= float(row["range"][1])), rows[-1])
    found = {kind: _number(row.get(key)) for kind, key in _keys(row).items()}
    if found["output"] is None:
        found |= {kind: _number(entry.get(_FIGURES[kind])) for kind in ("output", "reasoning")}
    return {kind: figure for kind, figure in found.items() if figure is not None} or None


# Off-peak hours -----------------------------------------------------------------------------------------------------


def _off_peak(entry: Entry, at: datetime) -> dict[str, float | None]:
    """Return the figures that stand in for the usual ones at that time."""
    terms = entry.get("off_peak_pricing")
    if not isinstance(terms, Mapping) or not _is_off_peak(terms, at.astimezone(UTC)):
        return {}
    found = {kind: _number(terms.get(key)) for kind, key in _FIGURES.items()}
    return {kind: figure for kind, figure in found.items() if figure is not None}


def _is_off_peak(terms: Entry, at: datetime) -> bool:
    if _within(terms.get("hours_utc"), at.time()):
        return True
    local = at.astimezone(ZoneInfo(str(terms["weekday_timezone"]))) if terms.get("weekday_timezone") else at
    return any(
        _within(window.get("hours_utc"), at.time()) and local.isoweekday() in (window.get("weekdays") or range(1, 8))
        for window in terms.get("windows") or ()
    )


def _within(windows: str | Sequence[str] | None, at: time) -> bool:
    """Say whether a time lies in a window such as `16:30-00:30`; one that ends where it begins is the whole day."""
    for window in [windows] if isinstance(windows, str) else windows or ():
        start, _, end = (time.fromisoformat(part.strip()) if part != "-" else None for part in window.partition("-"))
        if start is None or end is None:
            continue
        if (start <= at < end) if start < end else (at >= start or at < end):
            return True
    return False


# Where it was answered ----------------------------------------------------------------------------------------------


def uplift(entry: Entry, *, api_base: str | None, location: str | None, geo: str | None, lane: Lane) -> float:
    """Return what all rates are multiplied with for the place and the speed that a call was answered at."""
    factor = 1.0
    for zone, key in _ZONES.items():
        if f"//{zone}.api.openai.com" in (api_base or ""):
            factor *= float(entry.get(key) or 1.0)
    if location is not None and location.lower() != "global":
        factor *= float(entry.get("regional_endpoint_uplift_multiplier") or 1.0)
    special = entry.get("provider_specific_entry") or {}
    if lane is Lane.FAST:
        factor *= float(special.get("fast") or 1.0)
    return factor * float(special.get((geo or "").lower()) or 1.0)


def _first(entry: Entry, *keys: str) -> float | None:
    return next((figure for key in keys if (figure := _number(entry.get(key))) is not None), None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
