"""The tables of what is known of quality: outcomes, students, calibrations, audits, gold, judges."""

from datetime import datetime

from sqlalchemy import JSON, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from firstline.orchestrator.store.types import UtcDateTime
from firstline.schemas.base import Json, JsonObject


class OutcomeRow(SQLModel, table=True):
    """What one trail's answers of one model to one skill came to, and cost; kept when its job is pruned."""

    __tablename__ = "outcome"
    __table_args__ = (Index("outcome_by_skill", "tenant", "skill_digest", "model", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    job: str
    #: What the job was for: only those in earnest bend others' ways, all of them are history for estimates.
    purpose: str = "run"
    tenant: str
    skill_digest: str
    model: str
    #: Whether the subtasks had climbed to this model's tier, or began there.
    climbed: bool
    #: First tries on the tier: subtasks, how many of them were accepted, dollars.
    asked: int
    accepted: int
    usd: float
    #: Further tries there.
    again_asked: int
    again_accepted: int
    again_usd: float
    #: Of first tries.
    input_tokens: int
    output_tokens: int
    at: datetime = Field(sa_type=UtcDateTime)


class StudentRow(SQLModel, table=True):
    """A classifier of a job's own: plain arrays, its held-out record, and what became of it."""

    __tablename__ = "student"
    __table_args__ = (Index("student_by_step", "job", "step", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    job: str
    step: str
    tier: str
    tenant: str
    skill: str
    skill_digest: str
    #: How the arrays are to be read.
    version: int
    packed: bytes = Field(sa_type=LargeBinary)
    #: Labels it was trained on, and different answers among them.
    labels: int
    answers: int
    #: Items up to this number were labelled before any student answered: a random sample, all of them.
    opening: int
    #: The held-out record: margins from the highest down, and which answers were wrong.
    margins: list[float] = Field(sa_type=JSON)
    wrong: list[bool] = Field(sa_type=JSON)
    #: on, off (it was caught as often as may be, or is not sure of anything), over (another took its place, or the job
    #: is through)
    state: str
    reason: str | None = Field(default=None, sa_type=Text)
    #: From where it answers; None: nowhere.
    margin: float | None = None
    max_loss: float
    #: Of all students of this step so far: items answered, audits, audits that found them wrong, and how many of these
    #: the held-out records foresaw over the items begun.
    served: int = 0
    audits: int = 0
    caught: int = 0
    foreseen: float = 0.0
    begun: int = 0
    trained_at: datetime = Field(sa_type=UtcDateTime)


class CalibrationRow(SQLModel, table=True):
    """A threshold with its guarantee, for one tenant's answers of a skill version, pair of models and signal."""

    __tablename__ = "calibration"
    __table_args__ = (Index("calibration_key", "skill", "skill_digest", "cheap_model"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant: str = "default"
    skill: str
    skill_version: int
    skill_digest: str
    cheap_model: str
    frontier_model: str
    signal: str
    #: Of the signal `combined`: how it is reckoned (`firstline.schemas.policy.Combination`).
    combination: JsonObject | None = Field(default=None, sa_type=JSON)
    method: str
    threshold: float | None = None
    labels_used: int
    expected_frontier_share: float | None = None
    max_loss: float
    certified_max_loss: float | None = None
    delta: float
    gold: bool = False
    #: The folder that its skill and profile come from, beside the user's own ones.
    home: str | None = None
    #: live, dead (its skill or model changed), drifted
    state: str = "live"
    reason: str | None = Field(default=None, sa_type=Text)
    job: str | None = None
    #: Which look at this model's answers it was, and a digest of the question: asking it again is no further look.
    look: int = 1
    question: str | None = None
    #: What accepting from a confidence on would bring, by the labels: [confidence, share accepted, loss of all items].
    curve: list[list[float]] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    drifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class BackgroundExperimentRow(SQLModel, table=True):
    """A calibration or tuning that `firstline serve` was asked for and that goes on in the background."""

    #: Named when only calibrations did: processes of that time go on while a newer one migrates.
    __tablename__ = "background_calibration"

    id: str = Field(primary_key=True)
    #: calibration, tuning
    kind: str = "calibration"
    tenant: str
    workflow: str
    begun_by: str
    #: running, done, failed, cancelled
    state: str = "running"
    #: What was to be certified, and from how many labels.
    aim: JsonObject = Field(sa_type=JSON)
    #: The jobs that answer for it, in the order in which they began.
    jobs: list[str] = Field(default_factory=list, sa_type=JSON)
    #: What came of it, a sentence for each step and model; or why nothing did.
    said: list[str] = Field(default_factory=list, sa_type=JSON)
    begun_at: datetime = Field(sa_type=UtcDateTime, index=True)
    #: When the process that runs it was last heard of.
    heard_at: datetime = Field(sa_type=UtcDateTime)
    #: Number of the tuning that came of it.
    tuning: int | None = None


class AuditRow(SQLModel, table=True):
    """An accepted cheap answer that the top tier also answered."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_by_state", "state", "job"),
        Index("audit_by_subject", "tenant", "skill_digest", "model", "at"),
    )

    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    tenant: str = "default"
    skill: str = Field(index=True)
    skill_digest: str
    #: The tier and the model whose answer was accepted.
    tier: str
    model: str
    #: wanted, asked, judging, done, void (the top tier gave no answer, or the judge was not asked for want of money),
    #: uncompared (nobody compares such answers)
    state: str = "wanted"
    #: The jobs in which the top tier was asked, and a judge whether its answer is the same.
    audit_job: str | None = None
    judge_job: str | None = None
    #: False: the accepted answer was lost (wrong where the top tier is right; without gold, not the same).
    agrees: bool | None = None
    cost_usd: float | None = None
    at: datetime = Field(sa_type=UtcDateTime)


class GoldRow(SQLModel, table=True):
    """A right answer that a person gave: what a skill is measured by, and may be shown as an example."""

    __tablename__ = "gold"

    job: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    tenant: str = "default"
    item_id: str
    skill: str = Field(index=True)
    skill_version: int
    #: The skill's inputs by field name.
    input: dict[str, Json] = Field(sa_type=JSON)
    value: Json = Field(default=None, sa_type=JSON, nullable=True)
    note: str = Field(default="", sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime)


class JudgeErrorRow(SQLModel, table=True):
    """What a judge said of pairs of answers that a person had labelled; the newest of a skill and model counts."""

    __tablename__ = "judge_error"

    id: int | None = Field(default=None, primary_key=True)
    tenant: str = "default"
    skill: str
    #: Names the rubric and the fields too.
    skill_digest: str = Field(index=True)
    model: str
    #: Pairs that are the same, and those it called different; pairs that differ, and those it called the same.
    same: int
    alarms: int
    different: int
    missed: int
    at: datetime = Field(sa_type=UtcDateTime)


class TuningRow(SQLModel, table=True):
    """What a tuning came to, as it was told."""

    __tablename__ = "tuning"
    __table_args__ = (Index("tuning_by_tenant", "tenant", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    tenant: str
    workflow: str
    #: `firstline.orchestrator.experiments.tune_report.TuneReport`.
    report: JsonObject = Field(sa_type=JSON)
    #: `TuningOrigin` there: what it was made of.
    origin: JsonObject | None = Field(default=None, sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)
