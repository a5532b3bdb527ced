"""What a job cost and how well it went."""

from pydantic import Field

from firstline.schemas.base import Frozen
from firstline.schemas.estimate import Estimate
from firstline.schemas.tier import Lane


class Percentiles(Frozen):
    """Seconds."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Baseline(Frozen):
    """What the same items would have cost, and how good they would have been, some other way."""

    name: str
    cost_usd: float | None
    quality: float | None = None
    #: False: computed from prices and measured token counts, not run.
    measured: bool = False
    frontier_share: float | None = None


class ModelLine(Frozen):
    """One model's part in a job."""

    model: str
    tier: str
    attempts: int
    accepted: int
    errors: dict[str, int] = Field(default_factory=dict)
    #: Answers that came and were no good, and calls that brought none: those say nothing of the model's answers.
    wrong: int = 0
    unanswered: int = 0
    #: The share of wrong ones among the answers that came.
    error_rate: float
    input_tokens: int
    cached_tokens: int
    #: Written to the provider's prompt cache.
    cache_write_tokens: int = 0
    output_tokens: int
    cost_usd: float | None
    latency_s: Percentiles


class SkillLine(Frozen):
    """One type of task in a job: what its answers were like, and what one of them cost."""

    skill: str
    #: Answers that were accepted.
    tasks: int
    calls: int
    wrong: int
    unanswered: int
    error_rate: float
    cost_usd: float | None
    #: All that was paid for the skill by its accepted answers.
    cost_per_task_usd: float | None
    #: Accepted answers of the job's own student, which cost nothing.
    by_student: int = 0
    #: What they would have cost as the others did, its audits among that; None: a price is unknown, or there are none.
    student_saved_usd: float | None = None


class LaneLine(Frozen):
    """What one lane (`service_tier`) took of a job's calls."""

    lane: Lane
    #: Calls that were answered there.
    answered: int
    #: Calls that it had no room for; each was made again at once on the ordinary lane.
    turned_away: int
    cost_usd: float | None


class QualityScore(Frozen):
    """Mean score of the items that carry ground truth: `score` of the settled ones, `score_all` of all."""

    score: float
    items: int
    compare: str
    #: 95% interval of `score_all` (Wilson, for 0/1 scores) or None.
    low: float | None = None
    high: float | None = None
    #: Score over all items with ground truth, failed ones counted as 0.
    score_all: float | None = None


class StepPromise(Frozen):
    """What is certified for a step of one job, and by whom its answers were given."""

    step: str
    #: Loss over all items that its calibrations certify together; None: nothing is certified.
    max_loss: float | None
    #: Chance that the loss is more.
    delta: float | None
    #: Accepted answers of the model that the others are measured by.
    by_reference: int = 0
    #: Accepted answers of models with a certificate.
    certified: int = 0
    #: Accepted answers of models without one.
    uncertified: dict[str, int] = Field(default_factory=dict)
    #: Audits say that a certificate holds no more.
    drifted: bool = False

    @property
    def answers(self) -> int:
        """All accepted answers."""
        return self.by_reference + self.certified + sum(self.uncertified.values())


class Promise(Frozen):
    """What is certified for one job."""

    #: The top model that the others are measured by; None: the job was kept from its tier.
    reference: str | None
    steps: tuple[StepPromise, ...] = ()


class Report(Frozen):
    """The page a job ends with."""

    job: str
    name: str
    state: str
    reason: str | None = None
    items: int
    settled: int
    failed: int
    review: int = 0
    cancelled: int = 0
    cost_usd: float | None
    #: Attempts of unknown cost; the cost above leaves them out.
    unpriced_attempts: int = 0
    baseline_cost_usd: float | None
    baseline_measured: bool = False
    #: What the audits of its answers cost: jobs of their own, and part of what the answers take.
    audit_cost_usd: float = 0.0
    #: 1 - (cost + audits) / baseline, and without the audits.
    saving: float | None
    saving_without_audits: float | None = None
    #: Cost and audits by settled items.
    cost_per_item_usd: float | None = None
    escalation_rate: float | None
    error_rate_by_model: dict[str, float]
    latency_s: Percentiles
    quality: QualityScore | None
    models: tuple[ModelLine, ...] = ()
    skills: tuple[SkillLine, ...] = ()
    #: The lanes that its calls were answered on, where there was another than the ordinary one.
    lanes: tuple[LaneLine, ...] = ()
    by_tier: dict[str, int] = Field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    failures: dict[str, int] = Field(default_factory=dict)
    cache_hits: int = 0
    cache_saved_usd: float = 0.0
    duplicates: int = 0
    #: Items whose answers were taken over from earlier jobs, and what they cost there.
    taken_over: int = 0
    taken_over_usd: float = 0.0
    wall_s: float | None = None
    #: What it was expected to cost before it began; None: nobody estimated it.
    estimate: Estimate | None = None
    #: What is certified for it, and what is not; None: it has no plan yet.
    promise: Promise | None = None
    notes: tuple[str, ...] = ()
