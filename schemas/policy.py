"""What a skill's policy may say: attempts, confidence and what follows a failure."""

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from firstline.schemas.base import Frozen


class Demand(StrEnum):
    """How much reasoning a task asks for; the start tier follows from it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Signal(Frozen):
    """One way to get a number in 0..1 for "how sure is this answer?"."""

    #: `mean_logprob`, `min_logprob`: over the answer's value tokens; `margin`: between an enum's labels, renormalised
    #: (of the field `field`; the least of all enums when missing); `agreement`: how far `samples` more answers agree
    #: with the first by `compare`; `verifier`: a model of `tier` judges by `rubric`; `function`: a user's, called with
    #: (answer, item).
    kind: Literal["mean_logprob", "min_logprob", "margin", "agreement", "verifier", "function"]
    field: str | None = None
    samples: int = Field(default=3, ge=2, le=20)
    temperature: float = Field(default=0.7, ge=0, le=2)
    #: How samples are compared, in the words of `Quality.compare`.
    compare: str = "exact"
    tier: str | None = None
    rubric: str | None = None
    path: str | None = None

    @property
    def is_costly(self) -> bool:
        """Whether it asks models once more."""
        return self.kind in ("agreement", "verifier")

    @property
    def is_of_logprobs(self) -> bool:
        """Whether it is read off log-probabilities: a model that gives none never has a value of it."""
        return self.kind in ("mean_logprob", "min_logprob", "margin")

    @property
    def label(self) -> str:
        """The signal's name in reports and calibrations, such as `margin(intent)`."""
        return f"{self.kind}({self.field})" if self.field else self.kind


#: The signal that a decision model's own probability is: it needs no declaration.
DECISION = "decision"


#: The signal that a fitted score of several signals is.
COMBINED = "combined"


class Confidence(Frozen):
    """A number in 0..1 from a named signal."""

    signal: str
    value: float
    #: Of a skill with several signals: all that were measured, and what else is known for nothing of the answer.
    known: dict[str, float] = Field(default_factory=dict)


class Combination(Frozen):
    """A logistic score of several signals; its features are standardised by a centre and a scale each."""

    features: tuple[str, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float


class Threshold(Frozen):
    """From which confidence on a tier's answer is accepted, and why that figure."""

    signal: str
    #: None: nothing is accepted, and `why` says why.
    value: float | None
    source: Literal["declared", "calibrated", "audit", "uncertified"] = "declared"
    calibration_id: int | None = None
    #: Of the signal `combined`: how it is reckoned.
    combination: Combination | None = None
    #: Loss over all items that is certified for it, and the chance that it is more; None: nothing is certified.
    max_loss: float | None = None
    delta: float | None = None
    why: str = ""


class LastResort(StrEnum):
    """What follows when the top tier's attempts are used up."""

    REJECT = "reject"
    #: Take an answer that passed its checks although it is unsure; reject any other.
    ACCEPT = "accept"
    REFER = "refer"
    REVIEW = "review"


class Policy(Frozen):
    """When to accept, to try again, to climb and to give up; what it does not say is somebody else's to say."""

    #: Attempts on one tier before climbing.
    attempts_per_tier: int = Field(default=2, ge=1, le=10)
    #: Raise the model's reasoning effort on a retry before changing the model.
    raise_effort: bool = False
    #: Accept nothing below this confidence (of the first signal that has a value), until a calibration says from where.
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    #: What to do with an answer that passes its checks while no threshold is known: accept, or escalate.
    uncalibrated: Literal["accept", "escalate"] = "accept"
    #: What to do where no signal has a value although a threshold is known.
    unsure: Literal["accept", "escalate"] = "escalate"
    #: Tier that answers first. `auto` (the same as none): from the reasoning demand, and as measured costs say.
    start: str | None = None
    last_resort: LastResort = LastResort.REJECT
    #: Times the orchestrator model may be asked about one subtask.
    refer_rounds: int = Field(default=1, ge=0, le=3)
    #: Share of accepted answers also answered by the top tier, off the critical path.
    audit_share: float = Field(default=0.0, ge=0, le=1)
    #: Loss that the user chose to bear; audits raise a flag above it.
    max_loss: float = Field(default=0.05, gt=0, lt=1)
    #: What a raised flag does: tell, or send every item up until recalibrated.
    on_drift: Literal["flag", "escalate"] = "flag"

    @field_validator("start")
    @classmethod
    def _automatic(cls, start: str | None) -> str | None:
        return None if start == "auto" else start

    def over(self, base: Self) -> Self:
        """Return this policy laid over another, field by field: what this one does not say is as the other has it."""
        return base.evolve(**{name: getattr(self, name) for name in self.model_fields_set})

    @model_serializer(mode="wrap")
    def _only_what_it_says(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Written out in full, a step's policy would come back from a message as one that says everything.
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}
