"""How long the simulator takes to answer."""

import math
from random import Random
from typing import Literal, Self

from pydantic import Field, model_validator

from firstline.schemas.base import Frozen

#: z-score of the 99th percentile of a normal distribution.
_Z99 = 2.3263478740408408


class Constant(Frozen):
    """Always the same time."""

    kind: Literal["constant"] = "constant"
    seconds: float = Field(ge=0)

    def draw(self, random: Random) -> float:
        """Return the time in seconds."""
        return self.seconds


class Uniform(Frozen):
    """Any time between two bounds, all equally likely."""

    kind: Literal["uniform"]
    low: float = Field(ge=0)
    high: float = Field(ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"expected low <= high, got low {self.low} and high {self.high}")
        return self

    def draw(self, random: Random) -> float:
        """Return a time in seconds."""
        return random.uniform(self.low, self.high)


class LogNormal(Frozen):
    """A long tail, given by its median and 99th percentile in seconds."""

    kind: Literal["lognormal"]
    median: float = Field(gt=0)
    p99: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p99 < self.median:
            raise ValueError(f"expected p99 >= median, got median {self.median} and p99 {self.p99}")
        return self

    def draw(self, random: Random) -> float:
        """Return a time in seconds."""
        mu = math.log(self.median)
        sigma = (math.log(self.p99) - mu) / _Z99
        return random.lognormvariate(mu, sigma)


class RecordedLatency(Frozen):
    """The time that the recorded answer took, times a factor; no time where none was recorded."""

    kind: Literal["recorded"]
    factor: float = Field(default=1.0, ge=0)

    def draw(self, random: Random) -> float:
        """Return 0: the recording brings its own time."""
        return 0.0


Latency = Constant | Uniform | LogNormal | RecordedLatency
