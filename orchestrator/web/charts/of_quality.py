"""Charts of quality: errors by day, the loss of audited answers as they came in, and what a threshold bears."""

from collections.abc import Iterable, Sequence

from firstline.orchestrator.experiments.tune_report import StepTuned, TuneReport
from firstline.orchestrator.quality.calibration.standing import Standing
from firstline.orchestrator.quality.drift import Audit, Look
from firstline.orchestrator.reports.model_stats import DayErrors
from firstline.orchestrator.web.charts.chart import Chart, Series, at_noon

_COLOURS = ("t0", "t1", "t2", "t3", "warn", "good", "dim")


def errors(found: Iterable[DayErrors], *, name: str, title: str) -> Chart | None:
    """Return error rates by day, a line for each model or skill; None where nothing came."""
    by_name: dict[str, dict[str, float]] = {}
    for one in found:
        if one.rate is not None:
            by_name.setdefault(one.name, {})[one.day] = one.rate
    days = sorted({day for rates in by_name.values() for day in rates})
    series = tuple(
        Series(name=known, values=tuple(rates.get(day) for day in days), colour=_COLOURS[n % len(_COLOURS)])
        for n, (known, rates) in enumerate(sorted(by_name.items()))
    )
    x = tuple(at_noon(day) for day in days)
    return Chart(name=name, title=title, x=x, x_unit="time", y_unit="share", series=series) if days else None


def audited(found: Audit, looks: Sequence[Look]) -> Chart | None:
    """Return the interval of the live loss after each audit; None before the first."""
    if not looks:
        return None
    lines = {"at most": ("dim", [one.high for one in looks]), "at least": ("dim", [one.low for one in looks])}
    series = [Series(name=name, values=tuple(v), colour=colour, dashed=True) for name, (colour, v) in lines.items()]
    series.append(Series(name="live loss", values=tuple(one.estimate for one in looks), colour="t0"))
    series.append(Series(name="borne", values=(found.max_loss,) * len(looks), colour="bad"))
    return Chart(
        name=f"audits-{found.skill}",
        title=f"{found.skill} on {found.model}",
        x=tuple(float(one.audited) for one in looks),
        x_unit="count",
        y_unit="share",
        series=tuple(series),
        note="From left to right as answers were audited; the interval holds however often one looks.",
    )


def cost_over_loss(found: TuneReport, step: StepTuned, *, number: int) -> Chart | None:
    """Return what a tuned step costs beside the top model, by the share of rows lost; None: no curve was estimated."""
    if not step.curve:
        return None
    points = sorted(step.curve, key=lambda one: one.loss)
    return Chart(
        name=f"tuning-{number}-{step.step}",
        title=f"{found.workflow}, {step.step}: cost over loss",
        x=tuple(point.loss for point in points),
        x_unit="share",
        y_unit="share",
        series=(
            Series(name="cost of the top model alone", values=tuple(one.cost_share for one in points), colour="t0"),
        ),
        marks={"borne": found.max_loss} if points[-1].loss >= found.max_loss else {},
        note="From left to right as more of the cheaper model's answers are taken; estimated from every label.",
    )


def risk_and_coverage(found: Standing) -> Chart | None:
    """Return the loss that accepting so many items brings, with the threshold's place; None: no curve was kept."""
    if not found.curve:
        return None
    points = sorted(found.curve, key=lambda one: one.coverage)
    shares = tuple(one.coverage for one in points)
    series = [Series(name="loss among labelled answers", values=tuple(one.loss for one in points), colour="t0")]
    if found.certified_max_loss is not None:
        certified = (found.certified_max_loss,) * len(points)
        series.append(Series(name="certified at most", values=certified, colour="bad", dashed=True))
    taken = max((one.coverage for one in points if one.confidence >= (found.threshold or 0.0)), default=None)
    return Chart(
        name=f"calibration-{found.id}",
        title=f"{found.skill}: {found.cheap_model}, {found.signal}",
        x=shares,
        x_unit="share",
        y_unit="share",
        series=tuple(series),
        marks={} if found.threshold is None or taken is None else {"the threshold": taken},
        note="Accepting the surest answers first: the share of items accepted, and of all items lost by it.",
    )
