"""An estimate beside what the job then cost."""

from firstline.orchestrator.reports.formatting import dollars
from firstline.schemas.estimate import Estimate


def compared(planned: Estimate, cost_usd: float | None) -> str:
    """Return how a job's cost compares with what was expected of it."""
    if planned.cost_usd is None or planned.low_usd is None or planned.high_usd is None or cost_usd is None:
        return "Its cost was not estimated before the run: a price was unknown."
    inside = planned.low_usd <= cost_usd <= planned.high_usd
    where = "within" if inside else "below" if cost_usd < planned.low_usd else "above"
    span = f"{dollars(planned.low_usd)} to {dollars(planned.high_usd)}"
    return f"Estimated before the run: {dollars(planned.cost_usd)} ({span}); it cost {dollars(cost_usd)}, {where} that."
