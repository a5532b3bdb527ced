"""What a job did over time: dollars and items by tier in equal spans, and how long calls took."""

from datetime import datetime

from pydantic import Field
from sqlalchemy import Connection

from firstline.orchestrator.reports.frontier_alone import frontier_alone
from firstline.orchestrator.store import job_figures, jobs, time_figures
from firstline.schemas.base import Frozen
from firstline.schemas.plan import Plan
from firstline.schemas.tier import Profile

#: Spans, in seconds, of which the first is taken that cuts a job into few enough.
_SPANS_S = (1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 4 * 3600, 86400)
_MOST = 90


class JobOverTime(Frozen):
    """Dollars and items of a job by tier, span by span."""

    #: Where spans end, in Unix seconds.
    ends: tuple[float, ...]
    usd: dict[str, tuple[float, ...]]
    items: dict[str, tuple[float, ...]]
    #: What an item costs on the top tier alone; None: it has no price, or no answer came yet.
    frontier_usd: float | None = None
    #: Upper edges of the spans of seconds below, the last one open; tier -> calls in each.
    edges_s: tuple[float, ...] = time_figures.EDGES_S
    latency: dict[str, tuple[int, ...]] = Field(default_factory=dict)


def over_time(tx: Connection, *, job: str) -> JobOverTime | None:
    """Return what a job did over time; None before its first call."""
    row = jobs.get(tx, job=job)
    since: datetime | None = row["started_at"]
    if since is None:
        return None
    until = row["ended_at"] or jobs.clock(tx)
    lasted_s = (until - since).total_seconds()
    span_s = next((span for span in _SPANS_S if lasted_s / span <= _MOST), int(lasted_s / _MOST) + 1)
    usd = time_figures.dollars(tx, job=job, span_s=span_s)
    items = time_figures.items_ended(tx, job=job, span_s=span_s)
    begins = sorted({begin for one in (usd, items) for by_time in one.values() for begin in by_time})
    if not begins:
        return None
    ends = range(begins[0], begins[-1] + span_s, span_s)
    profile = Profile.model_validate(row["profile"])
    plan = Plan.model_validate(row["plan"]) if row["plan"] else None
    alone = frontier_alone(job_figures.answers_once(tx, jobs=[job]), plan, profile)
    ended = sum(sum(by_time.values()) for by_time in items.values())
    return JobOverTime(
        ends=tuple(float(begin + span_s) for begin in ends),
        usd={tier: tuple(by_time.get(begin, 0.0) for begin in ends) for tier, by_time in usd.items()},
        items={tier: tuple(by_time.get(begin, 0.0) for begin in ends) for tier, by_time in items.items()},
        frontier_usd=alone / ended if alone is not None and ended else None,
        latency=time_figures.latencies(tx, job=job),
    )
