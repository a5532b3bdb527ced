"""What a job is expected to cost, before it begins."""

from firstline.schemas.base import Frozen


class StepEstimate(Frozen):
    """What one step is expected to take."""

    step: str
    #: Tier that answers first.
    tier: str
    calls: float
    #: Tokens of one call.
    input_tokens: float
    output_tokens: float
    #: Share of its answers that climb to the next tier.
    climbing: float
    #: Dollars; None: a tier's model has no price.
    cost_usd: float | None
    #: What the share that climbs and the length of an answer are known from.
    known_from: str


class Estimate(Frozen):
    """What a job is expected to cost: a figure and an interval around it."""

    items: int
    #: Items whose prompts were made to count their tokens.
    sampled: int
    cost_usd: float | None
    low_usd: float | None = None
    high_usd: float | None = None
    #: The same calls on the top tier alone.
    frontier_usd: float | None = None
    #: It is above that, though not all of it is asked on the top tier already.
    above_top: bool = False
    steps: tuple[StepEstimate, ...] = ()
    notes: tuple[str, ...] = ()
