"""What the same items cost, and how good they get, some other way: cheap only, frontier only, random routing."""

from collections.abc import Callable, Collection, Mapping

from firstline.orchestrator.plans.single_tier import BASELINE
from firstline.schemas.job import JobRequest
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.report import Baseline, Report
from firstline.schemas.tier import Profile

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
    options = main.options.evolve(tiers=(tier_of(kind, profile),), purpose=BASELINE, webhook_url=None, approve=False)
    name = f"{main.name}: {NAMES[kind]}" if main.name else NAMES[kind]
    return main.evolve(name=name, options=options, idempotency_key=key(job, kind))


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
