"""Charts as data: what stands behind each, for the script that draws it and for a table that says the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from firstline.schemas.base import Frozen

Unit = Literal["usd", "share", "count", "seconds", "time", "number"]


class Series(Frozen):
    """One line, one layer of a stack, or one colour of bars."""

    name: str
    #: None: nothing is known there.
    values: tuple[float | None, ...]
    #: One of the style's colours: t0 to t3, bad, warn, good, dim, ink.
    colour: str
    kind: Literal["line", "steps", "layer", "bars"] = "line"
    dashed: bool = False


class Chart(Frozen):
    """Some series over one axis."""

    name: str
    title: str
    x: tuple[float, ...]
    #: `time`: Unix seconds.
    x_unit: Unit
    y_unit: Unit
    series: tuple[Series, ...]
    #: Names of the places on the axis, where they are no numbers.
    labels: tuple[str, ...] = ()
    #: Value on the axis -> what is to be marked there.
    marks: dict[str, float] = Field(default_factory=dict)
    #: What the figures rest on.
    note: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(len(one.values) != len(self.x) for one in self.series):
            raise ValueError(f"every series of the chart {self.name} needs {len(self.x)} values")
        return self


def layers(by_tier: Mapping[str, Sequence[float]], ladder: Sequence[str]) -> list[Series]:
    """Return a stack with a layer for each tier, in the colours and the order of the ladder."""
    names = [*(name for name in ladder if name in by_tier), *(name for name in by_tier if name not in ladder)]
    return [
        Series(name=name, values=tuple(by_tier[name]), colour=tier_colour(name, ladder), kind="layer") for name in names
    ]


def tier_colour(name: str, ladder: Sequence[str]) -> str:
    """Return the colour that a tier has everywhere."""
    return f"t{min(3, ladder.index(name))}" if name in ladder else "dim"


def added_up(values: Sequence[float]) -> list[float]:
    """Return the sum so far at each place."""
    total, sums = 0.0, []
    for value in values:
        total += value
        sums.append(total)
    return sums


def at_noon(day: str) -> float:
    """Return the Unix seconds of a day's noon: charts of days have a point there, whatever zone they are read in."""
    return datetime.fromisoformat(f"{day[:10]}T12:00:00").replace(tzinfo=UTC).timestamp()
