"""What is tuned: the aim, what came out for each step, and what it was made of."""

from dataclasses import dataclass

from firstline.orchestrator.quality.calibration.threshold import Target
from firstline.schemas.base import Frozen
from firstline.schemas.skill import Example, Skill
from firstline.schemas.tier import Profile


@dataclass(frozen=True)
class TuneAim:
    """What is to be certified, and from how many labels."""

    labels: int = 200
    max_loss: float = 0.05
    delta: float = 0.1
    #: Rows looked at, at most; None: as many as the labels ask for.
    rows: int | None = None
    seed: int = 0
    #: Answers of the top model that a cheaper one's prompt may show.
    examples: int = 0
    #: How answers are compared and with what; the workflow's own quality when missing.
    gold: str | None = None
    field: str | None = None
    compare: str | None = None

    @property
    def target(self) -> Target:
        """The promise."""
        return Target(self.max_loss, self.delta)


class CandidateFigures(Frozen):
    """One model for one step, beside the top one."""

    model: str
    #: Its own answers, without what climbs.
    usd_per_1000_rows: float
    #: Rows on which it did as well as the top model, of those with a label in the choosing; with a 95% interval.
    kept: int
    labelled: int
    kept_low: float
    kept_high: float
    #: Expected cost of the pipeline that starts on it beside the top model alone.
    cost_share: float
    low: float
    high: float
    #: Certified, or why not.
    said: str


class CurvePoint(Frozen):
    """One threshold: cost beside the top model alone, and the estimated share of rows lost."""

    cost_share: float
    loss: float


class StepTuned(Frozen):
    """What came out for one step."""

    step: str
    skill: str
    top_model: str
    top_usd_per_1000_rows: float
    candidates: tuple[CandidateFigures, ...]
    #: None: the top model stands.
    model: str | None
    #: Accept from this confidence on; None with a model: every usable answer.
    threshold: float | None = None
    signal: str | None = None
    #: The top model's answers that the model's prompt has to show for it.
    examples: tuple[Example, ...] = ()
    climbing: float | None = None
    cost_share: float = 1.0
    low: float = 1.0
    high: float = 1.0
    labels: int = 0
    reason: str = ""
    curve: tuple[CurvePoint, ...] = ()


class TuneReport(Frozen):
    """What a tuning came to."""

    workflow: str
    rows: int
    labels: int
    max_loss: float
    delta: float
    at_most_usd: float | None
    spent_usd: float
    steps: tuple[StepTuned, ...]
    #: Of all steps together, beside the top model alone.
    cost_share: float
    low: float
    high: float
    #: Names the job of the top tier's answers, for the calibrations that are kept.
    gold: bool = False

    @property
    def verdict(self) -> str:
        """What it saves, in a sentence."""
        if not any(step.model for step in self.steps):
            return f"nothing cheaper could be certified at a loss of at most {self.max_loss:.0%}; the top model stands"
        saved, least, most = (1 - share for share in (self.cost_share, self.high, self.low))
        return f"this saves {saved:.0%} ({least:.0%} to {most:.0%}) at a loss of at most {self.max_loss:.0%}"


class TuningOrigin(Frozen):
    """What a tuning was made of, so that what it found can be applied at any time."""

    tenant: str
    #: The ladder as it was named, not as it was tried.
    profile: Profile
    #: Of all steps, as they were asked.
    skills: tuple[Skill, ...]
    #: The folder of the job file, where one was tuned.
    home: str | None = None

    def skill(self, name: str) -> Skill:
        """Return a skill as it was asked."""
        return next(one for one in self.skills if one.name == name)


class KeptTuning(Frozen):
    """A tuning that is kept: the number to find it by, what it came to, and what it was made of."""

    number: int
    report: TuneReport
    #: None: it was made by a version that did not keep this.
    origin: TuningOrigin | None
