"""A tuning for people: one table, the curve of cost over loss, one sentence; and a page to send to a colleague."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firstline.orchestrator.experiments.tune import TuningPlan
from firstline.orchestrator.experiments.tune_report import CandidateFigures, CurvePoint, StepTuned, TuneReport
from firstline.orchestrator.reports.formatting import UNKNOWN, dollars, percent

_TEMPLATES = Path(__file__).parent / "templates"
COLUMNS = ("model", "$ / 1,000 rows", "as good as the top model", "cost of the pipeline", "")
#: Columns of a bar in the terminal.
_WIDTH = 40
#: Size of the curve on the page, in pixels.
_PAGE = (560, 260, 40)


def cost_line(prepared: TuningPlan) -> str:
    """Return what a tuning will cost at most, before it starts."""
    aim, top = prepared.aim, prepared.model(prepared.top).name
    tried = len(prepared.profile.ladder) - 1
    what = f"up to {aim.labels} rows are answered by {top}, and by {tried} cheaper model{'s' * (tried != 1)}"
    if prepared.at_most_usd is None:
        return f"{what}; what that costs is unknown: a model has no price"
    return f"{what}; this costs at most {dollars(prepared.at_most_usd)}"


def text(found: TuneReport) -> str:
    """Return the whole outcome for a terminal."""
    parts = [_step(step, found) for step in found.steps]
    spent = f"{found.rows} rows looked at, {found.labels} labels, {dollars(found.spent_usd)} spent"
    return "\n\n".join([*parts, f"{spent}\n{found.verdict}"])


def _step(step: StepTuned, found: TuneReport) -> str:
    head = (
        f"{step.step} ({step.skill}), beside {step.top_model} at {dollars(step.top_usd_per_1000_rows)} per 1,000 rows"
    )
    lines = [head, *(_table([COLUMNS, *map(row, step.candidates)]) if step.candidates else ())]
    if step.curve:
        lines += [
            "",
            "cost of the top model alone, by the share of rows lost (estimated)",
            *_bars(step.curve, found.max_loss),
        ]
    return "\n".join([*lines, "", outcome(step, found)])


def row(one: CandidateFigures) -> tuple[str, ...]:
    """Return one candidate's row."""
    return (
        one.model,
        dollars(one.usd_per_1000_rows),
        f"{one.kept} of {one.labelled} (95% int. {one.kept_low:.0%} to {one.kept_high:.0%})"
        if one.labelled
        else UNKNOWN,
        f"{one.cost_share:.0%} ({one.low:.0%} to {one.high:.0%})",
        one.said,
    )


def outcome(step: StepTuned, found: TuneReport) -> str:
    """Return what came out for one step, in a sentence."""
    if step.model is None:
        return f"{step.step}: {step.top_model} stands: {step.reason}"
    sure = 1 - found.delta
    shown = f" with {len(step.examples)} of {step.top_model}'s answers in its prompt" if step.examples else ""
    if step.threshold is None:
        how = f"{step.model}{shown} replaces {step.top_model}, but for what fails its checks ({percent(step.climbing)})"
    else:
        how = (
            f"{step.model} first{shown}, taken from {step.signal} {step.threshold:.4g} on; "
            f"{percent(step.climbing)} climb"
        )
    return (
        f"{step.step}: {how}: {step.cost_share:.0%} of the cost ({step.low:.0%} to {step.high:.0%}); with {sure:.0%} "
        f"confidence at most {found.max_loss:.1%} of all rows are lost ({step.labels} labels)"
    )


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[at]) for line in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in rows]


def _bars(curve: Sequence[CurvePoint], max_loss: float) -> list[str]:
    lines = []
    for point in curve[:: max(1, len(curve) // 10)]:
        mark = " <- within the loss" if point.loss <= max_loss else ""
        bar = "#" * round(_WIDTH * min(1.0, point.cost_share))
        lines.append(f"{point.loss:6.1%} {bar:<{_WIDTH}} {point.cost_share:.0%}{mark}")
    return lines


def render_page(found: TuneReport) -> str:
    """Return a page that stands alone."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    steps = [
        {
            "step": step,
            "outcome": outcome(step, found),
            "rows": list(map(row, step.candidates)),
            "curve": _drawn(step, found),
        }
        for step in found.steps
    ]
    spent = dollars(found.spent_usd)
    return environment.get_template("tuning.html").render(found=found, columns=COLUMNS, steps=steps, spent=spent)


@dataclass(frozen=True)
class Curve:
    """A curve of cost over loss as the page draws it, in pixels."""

    points: str
    width: int
    height: int
    edge: int
    #: Where the loss that is borne stands.
    bound: float


def _drawn(step: StepTuned, found: TuneReport) -> Curve | None:
    """Return the curve, the share of rows lost to the right, the cost beside the top model upwards; or None."""
    if not step.curve:
        return None
    width, height, edge = _PAGE
    across = (width - 2 * edge) / max(found.max_loss * 1.5, *(point.loss for point in step.curve))
    up = (height - 2 * edge) / max(1.0, *(point.cost_share for point in step.curve))
    places = [(edge + point.loss * across, height - edge - point.cost_share * up) for point in step.curve]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Curve(points, width, height, edge, round(edge + found.max_loss * across, 1))
