"""What was spent in a span of days, by what, beside what the top tier alone would have cost."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import timedelta

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.plans.single_tier import BASELINE
from firstline.orchestrator.reports.frontier_alone import frontier_alone
from firstline.orchestrator.store import job_figures, views
from firstline.orchestrator.store.jobs import now
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Plan
from firstline.schemas.tier import Profile


class MoneyLine(Frozen):
    """What one model, skill, tenant, day or purpose took."""

    name: str
    calls: int
    cost_usd: float
    #: Calls of unknown cost, not in the sum.
    unpriced: int = 0


class Money(Frozen):
    """Spending in a span of days."""

    days: int
    cost_usd: float
    unpriced: int
    #: Of jobs of purpose `run`, whose answers the baseline is reckoned from.
    run_cost_usd: float
    #: Of the jobs that made sure of their answers: audits, calibrations, comparisons.
    assurance_cost_usd: float
    #: One answer for each item and step of those jobs at the price of their top tiers; None: a top tier has no price.
    baseline_cost_usd: float | None
    by_model: tuple[MoneyLine, ...]
    by_skill: tuple[MoneyLine, ...]
    by_tenant: tuple[MoneyLine, ...]
    by_day: tuple[MoneyLine, ...]
    by_purpose: tuple[MoneyLine, ...]

    @property
    def saving(self) -> float | None:
        """The share of the baseline that was not spent, with all that made sure of the answers."""
        spent_usd = self.run_cost_usd + self.assurance_cost_usd
        return None if not self.baseline_cost_usd else 1 - spent_usd / self.baseline_cost_usd

    @property
    def saving_of_runs(self) -> float | None:
        """The share of the baseline that was not spent on the runs alone."""
        return None if not self.baseline_cost_usd else 1 - self.run_cost_usd / self.baseline_cost_usd


def money(tx: Connection, *, tenant: str | None, days: int) -> Money:
    """Return what was spent in the last `days` days, of one tenant (None: all)."""
    since = now() - timedelta(days=days)
    rows = views.spending(tx, tenant=tenant, since=since)
    return Money(
        days=days,
        cost_usd=_sum(rows),
        unpriced=_unpriced(rows),
        run_cost_usd=_sum(row for row in rows if row["purpose"] == "run"),
        assurance_cost_usd=_sum(row for row in rows if row["purpose"] not in ("run", BASELINE)),
        baseline_cost_usd=_baseline(tx, views.runs_of(tx, tenant=tenant, since=since)),
        by_model=_lines(rows, lambda row: f"{row['model']} ({row['tier']})"),
        by_skill=_lines(rows, lambda row: row["skill"] or "(no skill)"),
        by_tenant=_lines(rows, lambda row: row["tenant"]),
        by_day=tuple(sorted(_lines(rows, lambda row: str(row["day"])), key=lambda line: line.name)),
        by_purpose=_lines(rows, lambda row: row["purpose"]),
    )


def _lines(rows: Iterable[RowMapping], name: Callable[[RowMapping], str]) -> tuple[MoneyLine, ...]:
    grouped: dict[str, list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[name(row)].append(row)
    lines = (
        MoneyLine(name=key, calls=sum(row["calls"] for row in group), cost_usd=_sum(group), unpriced=_unpriced(group))
        for key, group in grouped.items()
    )
    return tuple(sorted(lines, key=lambda line: (-line.cost_usd, line.name)))


def _sum(rows: Iterable[RowMapping]) -> float:
    return float(sum(row["cost_usd"] for row in rows))


def _unpriced(rows: Iterable[RowMapping]) -> int:
    return sum(row["calls"] - row["priced"] for row in rows)


def _baseline(tx: Connection, runs: list[RowMapping]) -> float | None:
    """Return what the top tiers alone would have cost; None as soon as one of them has no price."""
    by_job: dict[str, list[RowMapping]] = defaultdict(list)
    for row in job_figures.answers_once(tx, jobs=[run["id"] for run in runs]):
        by_job[row["job"]].append(row)
    costs = [_alone(run, by_job[run["id"]]) for run in runs if by_job[run["id"]]]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None


def _alone(run: RowMapping, rows: list[RowMapping]) -> float | None:
    plan = Plan.model_validate(run["plan"]) if run["plan"] else None
    return frontier_alone(rows, plan, Profile.model_validate(run["profile"]))
