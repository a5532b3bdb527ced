"""The arithmetic of an estimate: what is known of a step, and what it makes of money; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from firstline.orchestrator.core.statistics import wilson
from firstline.schemas.tier import Price
from firstline.workers.estimates.forecast import ANSWER_TOKENS, CLIMBING

#: Ends of what a share that climbs may be where nothing is known of it.
_CLIMBING_ENDS = (0.02, 0.6)
#: How far an answer's length may be off where nothing is known of it, and where it is known.
_LENGTH_OFF, _KNOWN_LENGTH_OFF = 0.6, 0.15
#: Subtasks in history from which on it is believed.
ENOUGH = 20


@dataclass(frozen=True)
class Figure:
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high


@dataclass(frozen=True)
class Known:
    """What is expected of one step."""

    items: Figure
    input_tokens: Figure
    output_tokens: Figure
    climbing: Figure
    #: Calls that a subtask takes on a tier, retries among them.
    calls_each: float = 1.0
    #: Prices of the first tier and of those above it.
    prices: tuple[Price | None, ...] = ()

    @property
    def calls(self) -> float:
        """Calls over all tiers."""
        return self.items.value * self.calls_each * sum(self.climbing.value**rung for rung in range(len(self.prices)))


def mean_of(sample: Sequence[float]) -> Figure:
    """Return a sample's mean with its 95% interval (normal approximation)."""
    if not sample:
        return Figure(0.0, 0.0, 0.0)
    mean = sum(sample) / len(sample)
    if len(sample) < 2:
        return Figure(mean, mean * 0.5, mean * 1.5)
    deviation = math.sqrt(sum((one - mean) ** 2 for one in sample) / (len(sample) - 1))
    half = 1.96 * deviation / math.sqrt(len(sample))
    return Figure(mean, max(0.0, mean - half), mean + half)


def climbing_of(asked: int, settled: int) -> Figure:
    """Return the share that climbs, from how many were asked and answered on the first tier; else a stated guess."""
    if asked < ENOUGH:
        return Figure(CLIMBING, *_CLIMBING_ENDS)
    share = 1 - min(settled, asked) / asked
    interval = wilson(asked - min(settled, asked), asked)
    return Figure(share, interval.low, interval.high)


def length_of(mean_tokens: float | None, asked: int) -> Figure:
    """Return the tokens of an answer, from history or else a stated guess."""
    known = mean_tokens is not None and asked >= ENOUGH
    value, off = (mean_tokens or 0.0, _KNOWN_LENGTH_OFF) if known else (float(ANSWER_TOKENS), _LENGTH_OFF)
    return Figure(value, value * (1 - off), value * (1 + off))


def cost(known: Known) -> float | None:
    """Return the dollars of a step; None where a tier that it may reach has no price."""
    per_call = [_per_call(known, price) for price in known.prices]
    if None in per_call:
        return None
    shares = (known.climbing.value**rung for rung in range(len(per_call)))
    each = sum(share * (usd or 0.0) for share, usd in zip(shares, per_call, strict=True))
    return known.items.value * known.calls_each * each


def spread(known: Known) -> tuple[float, float]:
    """Return how far below and above its cost a step may end.

    Each unknown is moved to its own ends alone, and what that makes of the cost adds up as independent errors do, in
    quadrature.
    """
    middle = cost(known) or 0.0
    down = up = 0.0
    for name in ("items", "input_tokens", "output_tokens", "climbing"):
        moved = [(cost(_at(known, name, end)) or 0.0) - middle for end in getattr(known, name).ends]
        down += min(0.0, *moved) ** 2
        up += max(0.0, *moved) ** 2
    return math.sqrt(down), math.sqrt(up)


def total(parts: Sequence[Known]) -> tuple[float, float, float] | None:
    """Return the dollars of all steps with the ends of their interval; None when one of them is unknown."""
    costs = [cost(part) for part in parts]
    if None in costs:
        return None
    middle = sum(one or 0.0 for one in costs)
    spreads = [spread(part) for part in parts]
    down, up = (math.sqrt(sum(one[side] ** 2 for one in spreads)) for side in (0, 1))
    return middle, max(0.0, middle - down), middle + up


def on_top(part: Known) -> Known:
    """Return the same step answered by the top tier at once."""
    return replace(part, prices=part.prices[-1:], calls_each=1.0)


def _at(known: Known, name: str, end: float) -> Known:
    return replace(known, **{name: Figure(end, end, end)})  # type: ignore[arg-type]


def _per_call(known: Known, price: Price | None) -> float | None:
    if price is None or price.input is None or price.output is None:
        return None
    return (known.input_tokens.value * price.input + known.output_tokens.value * price.output) / 1e6
