"""What the same items cost, and how good they get, some other way: cheap only, frontier only, random routing."""

from collections.abc import Callable, Collection, Mapping

from firstline.schemas.job import JobRequest
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.plan import Plan, PlannedStep, StepKind
from firstline.schemas.policy import Policy
from firstline.schemas.report import Baseline, Report
from firstline.schemas.tier import Profile

#: What the jobs that measure a baseline are for.
PURPOSE = "baseline"
#: What people read for each kind.
NAMES = {
    BaselineKind.CHEAP: "cheap only",
    BaselineKind.FRONTIER: "frontier only",
    BaselineKind.RANDOM: "random routing",
}
#: The kinds that are run; random routing follows from both.
_RUN = (BaselineKind.CHEAP, BaselineKind.FRONTIER)


def to_run(wanted: Collection[BaselineKind]) -> tuple[BaselineKind, ...]:
    """Return the kinds that have to be run for the wanted ones."""
    return _RUN if BaselineKind.RANDOM in wanted else tuple(kind for kind in _RUN if kind in wanted)


def key(job: str, kind: BaselineKind) -> str:
    """Return the idempotency key of a job's baseline: it is paid for once, and found again by the job's id."""
    return f"baseline:{job}:{kind.value}"


def tier_of(kind: BaselineKind, profile: Profile) -> str:
    """Return the only tier that a baseline's items may use: the lowest or the highest of the ladder."""
    return profile.ladder[0 if kind is BaselineKind.CHEAP else -1].name


def request(main: JobRequest, job: str, kind: BaselineKind, profile: Profile) -> JobRequest:
    """Return the request of a baseline of `job`: the same work, on one tier alone, under the same budget."""
    options = main.options.evolve(tiers=(tier_of(kind, profile),), purpose=PURPOSE, webhook_url=None, approve=False)
    name = f"{main.name}: {NAMES[kind]}" if main.name else NAMES[kind]
    return main.evolve(name=name, options=options, idempotency_key=key(job, kind))


def as_they_come(plan: Plan) -> Plan:
    """Return the plan with every answer of the asked-for form accepted: what a model does without our judgement.

    With the checks on, a tier alone would fail on what it would have sent up, and look worse than its answers are.
    Nobody reviews it either: what a checkpoint costs and asks anew is the price of judging cheap answers.
    """
    plan = _unreviewed(plan)
    skills = {name: skill.evolve(checks=(), confidence=()) for name, skill in plan.skills.items()}
    steps = (planned.evolve(thresholds={}, policy=_trusting(planned.policy)) for planned in plan.steps)
    return plan.evolve(skills=skills, steps=tuple(steps))


def _unreviewed(plan: Plan) -> Plan:
    """Return the plan without its checkpoints, unless a step reads what one says."""
    reviews = {one.step.name: one.step.after for one in plan.steps if one.step.kind is StepKind.CHECKPOINT}
    inputs = (reference for one in plan.steps for reference in one.step.inputs.values())
    read = [*inputs, *(one.step.when or "" for one in plan.steps), str(plan.output)]
    gone = {name: after for name, after in reviews.items() if not any(f"{name}." in text for text in read)}
    kept = [one for one in plan.steps if one.step.name not in gone]
    places = {segment: place for place, segment in enumerate(sorted({one.segment for one in kept}))}

    def moved(one: PlannedStep) -> PlannedStep:
        return one.evolve(step=one.step.evolve(after=_without(one.step.after, gone)), segment=places[one.segment])

    return plan.evolve(steps=tuple(map(moved, kept)), adapt=False)


def _without(after: tuple[str, ...], gone: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return what a step waits for, with what the missing ones waited for in their place."""
    found = [other for name in after for other in (_without(gone[name], gone) if name in gone else (name,))]
    return tuple(dict.fromkeys(found))


def _trusting(policy: Policy) -> Policy:
    return policy.evolve(min_confidence=None, uncalibrated="accept", unsure="accept", audit_share=0.0)


def compared(main: Report, measured: Mapping[BaselineKind, Report], profile: Profile) -> Report:
    """Return the report of a job with its baselines: the measured ones, and random routing where both were measured.

    A measured top tier replaces the estimate of what it would have cost.
    """
    lines = {kind: _measured(kind, report) for kind, report in measured.items()}
    if all(kind in lines for kind in _RUN):
        share = frontier_share(main, profile)
        random = random_routing(lines[BaselineKind.CHEAP], lines[BaselineKind.FRONTIER], share)
        lines[BaselineKind.RANDOM] = random
    ordered = tuple(lines[kind] for kind in BaselineKind if kind in lines)
    changes: dict[str, object] = {"baselines": ordered}
    if frontier := lines.get(BaselineKind.FRONTIER):
        changes |= _against(main, frontier)
    return main.evolve(**changes)


def frontier_share(report: Report, profile: Profile) -> float:
    """Return the share of settled items whose answer came from the top tier."""
    settled = sum(report.by_tier.values())
    return report.by_tier.get(profile.ladder[-1].name, 0) / settled if settled else 0.0


def random_routing(cheap: Baseline, frontier: Baseline, share: float) -> Baseline:
    """Return what is to be expected when a share of the items, chosen by chance, goes to the frontier."""

    def expected(figure: Callable[[Baseline], float | None]) -> float | None:
        low, high = figure(cheap), figure(frontier)
        return None if low is None or high is None else (1 - share) * low + share * high

    return Baseline(
        name=NAMES[BaselineKind.RANDOM],
        cost_usd=expected(lambda line: line.cost_usd),
        quality=expected(lambda line: line.quality),
        measured=cheap.measured and frontier.measured,
        frontier_share=share,
    )


def _measured(kind: BaselineKind, report: Report) -> Baseline:
    return Baseline(name=NAMES[kind], cost_usd=report.cost_usd, quality=overall_quality(report), measured=True)


def overall_quality(report: Report) -> float | None:
    """Return the mean score over all items with ground truth, those that failed counted as 0; None without any.

    Only this can be compared between ways to run a job: a tier that fails on the hard items must not look better.
    """
    if report.quality is None:
        return None
    return report.quality.score if report.quality.score_all is None else report.quality.score_all


def _against(main: Report, frontier: Baseline) -> dict[str, object]:
    cost, baseline = main.cost_usd, frontier.cost_usd
    known = cost is not None and bool(baseline)
    return {
        "baseline_cost_usd": baseline,
        "baseline_measured": True,
        "saving": 1 - (cost + main.audit_cost_usd) / baseline if known else None,  # type: ignore[operator] # both known
        "saving_without_audits": 1 - cost / baseline if known else None,  # type: ignore[operator] # both known
    }
