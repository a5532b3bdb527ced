"""What is calibrated: the aim, the models that it speaks of, and what came out."""

from dataclasses import dataclass
from pathlib import Path

from firstline.orchestrator.quality.calibration.threshold import Calibration
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Plan, PlannedStep, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, Tier


@dataclass(frozen=True)
class Aim:
    """What is to be certified, and from how many labels."""

    #: Answers of the top tier that each model may be weighed by; models share them where they can.
    labels: int = 200
    #: None: each step's own `policy.max_loss`.
    max_loss: float | None = None
    delta: float = 0.1
    seed: int = 0
    #: The only tier whose answers are weighed; all below the top one when missing.
    tier: str | None = None
    #: How answers are compared and with what; the workflow's own quality when missing.
    gold: str | None = None
    field: str | None = None
    compare: str | None = None


class CalibrationResult(Frozen):
    """What came out for one step's skill, as answered by one model."""

    step: str
    skill: str
    skill_version: int
    tier: str
    cheap_model: str
    frontier_model: str
    signal: str | None
    #: Items that the model answered; labels were bought for some of them.
    items: int
    gold: bool
    #: Fields of the answers that nobody compared: nothing is certified of them.
    silent: tuple[str, ...] = ()
    #: Which look at this model's answers it is: each further one has less of delta to spend.
    look: int
    #: None: no threshold could be sought; `said` tells why.
    calibration: Calibration | None
    said: str


@dataclass(frozen=True)
class CalibrationSubject:
    """A step as answered by one model, and its part of what is to be borne."""

    planned: PlannedStep
    skill: Skill
    #: The tier that it is on, and the one that is made for it alone.
    tier: str
    alone: str
    model: str
    max_loss: float
    delta: float
    #: Loss that the whole ladder may have.
    borne: float


@dataclass(frozen=True)
class CalibrationSetting:
    """Everything that is the same for all subjects of one calibration."""

    aim: Aim
    workflow: Workflow
    plan: Plan
    #: With a tier for each model.
    profile: Profile
    functions: tuple[Path, ...]
    home: Path | None
    #: Whose answers are weighed.
    tenant: str

    @property
    def frontier(self) -> Tier:
        """The top tier."""
        return self.profile.ladder[-1]

    @property
    def frontier_model(self) -> str:
        """The model whose answers are the measure."""
        return self.frontier.models[0].name
