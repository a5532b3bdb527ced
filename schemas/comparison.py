"""Models side by side on the same items: how often right, how dear, how fast, and where to start."""

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.report import Percentiles


class Share(Frozen):
    """A counted share with its 95% interval (Clopper-Pearson)."""

    right: int
    of: int
    low: float
    high: float


class Candidate(Frozen):
    """One model's part in a comparison."""

    model: str
    job: str
    settled: int
    failed: int
    #: Against gold; None where the items carry none.
    accuracy: Share | None
    #: With the reference model's outputs; None for the reference itself.
    agreement: Share | None
    #: Over all its calls, retries too; None: a price is unknown.
    usd_per_1000_items: float | None
    #: Seconds of a call.
    latency_s: Percentiles
    calls: int
    #: Share of the calls that answered, but not in the form asked for.
    malformed_rate: float | None
    #: Kind of error -> calls.
    errors: dict[str, int]


class Output(Frozen):
    """What one model came to on one item."""

    value: Json
    #: Why there is no value; None where there is one.
    failure: str | None = None
    #: Against gold, else against the reference; None where nobody can tell.
    right: bool | None = None


class ComparedItem(Frozen):
    """One item with what every model came to."""

    item_id: str
    input: JsonObject
    gold: Json
    outputs: dict[str, Output]


class StartTier(Frozen):
    """Which model should answer a step first."""

    step: str
    skill: str
    #: None: too few items to tell.
    model: str | None
    reference: str
    #: How often it is right, and against what.
    share: Share | None
    against: str
    #: It pays to start there from this share of right answers on; None: a price is unknown.
    pays_from: float | None
    expected_usd_per_1000_items: float | None
    reference_usd_per_1000_items: float | None
    said: str


class Comparison(Frozen):
    """Everything that `firstline compare` found."""

    workflow: str
    items: int
    #: Item field with the right answer; None: measured by agreement with the reference.
    gold: str | None
    #: The dearest model: what the others are measured by where there is no gold.
    reference: str
    candidates: tuple[Candidate, ...]
    #: Model -> model -> share of items with the same output.
    agreement: dict[str, dict[str, float | None]]
    start: tuple[StartTier, ...]
    rows: tuple[ComparedItem, ...]
    #: Fields of the outputs that nobody compares: nothing is said of them.
    silent: tuple[str, ...] = ()
    #: Whether it is known how often the judge of prose is wrong; None: no judge was asked.
    judge_is_measured: bool | None = None
