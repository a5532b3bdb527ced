"""A job's plan with live figures on every step: counts, dollars, seconds, and how much climbed."""

from collections import defaultdict

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.store import jobs, views
from firstline.schemas.base import Frozen
from firstline.schemas.plan import GATHERED, Plan, PlannedStep, StepKind, step_of
from firstline.schemas.states import SubtaskState


class StepFigures(Frozen):
    """One step of a job's plan, and how far it is."""

    name: str
    kind: StepKind
    #: Name of the skill or the tool.
    does: str
    segment: int
    start_tier: str
    after: tuple[str, ...]
    when: str | None = None
    why: str = ""
    #: Subtasks that there will be.
    total: int
    settled: int = 0
    failed: int = 0
    skipped: int = 0
    review: int = 0
    #: Settled above the tier that the step starts on.
    escalated: int = 0
    calls: int = 0
    #: None: no call of it has a price.
    cost_usd: float | None = None
    latency_s: float | None = None

    @property
    def ended(self) -> int:
        """Subtasks that have ended."""
        return self.settled + self.failed + self.skipped


def anatomy(tx: Connection, *, job: str) -> list[StepFigures]:
    """Return the steps of a job's plan in order, with their figures; none while there is no plan."""
    row = jobs.get(tx, job=job)
    if not row["plan"]:
        return []
    plan = Plan.model_validate(row["plan"])
    counts: dict[str, list[RowMapping]] = defaultdict(list)
    for count in views.subtask_counts(tx, job=job):
        if count["tier"] != GATHERED or count["state"] != SubtaskState.SETTLED:
            counts[step_of(count["step"])].append(count)
    costs: dict[str, list[RowMapping]] = defaultdict(list)
    for cost in views.step_costs(tx, job=job):
        costs[step_of(cost["step"])].append(cost)
    return [_figures(step, row["items"], counts[step.step.name], costs[step.step.name]) for step in plan.steps]


def _figures(planned: PlannedStep, items: int, counts: list[RowMapping], costs: list[RowMapping]) -> StepFigures:
    step = planned.step
    # How many elements lists have is known of those that have been come to.
    total = 1 if step.is_barrier else items if step.for_each is None else sum(line["count"] for line in counts)
    calls = sum(cost["calls"] for cost in costs)

    def count(state: str) -> int:
        return sum(line["count"] for line in counts if line["state"] == state)

    climbed = (line["count"] for line in counts if line["state"] == "settled" and line["tier"] != planned.start_tier)
    return StepFigures(
        name=step.name,
        kind=step.kind,
        does=step.skill or step.tool or step.kind.value,
        segment=planned.segment,
        start_tier=planned.start_tier,
        after=step.after,
        when=step.when,
        why=step.why,
        total=total,
        settled=count("settled"),
        failed=count("failed"),
        skipped=count("skipped"),
        review=count("review"),
        escalated=sum(climbed),
        calls=calls,
        cost_usd=sum(cost["cost_usd"] or 0.0 for cost in costs) if any(cost["priced"] for cost in costs) else None,
        latency_s=sum(cost["latency_s"] * cost["calls"] for cost in costs) / calls if calls else None,
    )
