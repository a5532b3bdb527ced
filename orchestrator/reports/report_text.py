"""A report for people: what was done, what it cost, how good it is, beside what else could have been done."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from firstline.orchestrator.reports.baselines import NAMES, overall_quality
from firstline.orchestrator.reports.console import wide_console
from firstline.orchestrator.reports.formatting import count, dollars, percent, seconds
from firstline.orchestrator.reports.promise import sentences
from firstline.schemas.estimate import Estimate
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.report import Baseline, LaneLine, ModelLine, Report, SkillLine

_WORST_REASONS = 8


def print_report(report: Report, console: Console | None = None) -> None:
    """Print the report, on stdout unless another console is given."""
    (console or wide_console()).print(rendered(report))


def rendered(report: Report) -> RenderableType:
    """Return the report as one thing that rich can print."""
    return Group(*_blocks(report))


def _blocks(report: Report) -> Iterator[RenderableType]:
    yield Text(f"{report.name} ({report.job}): {_state(report)}", style="bold")
    if report.reason:
        yield Text(report.reason)
    for sentence in sentences(report.promise) if report.promise else ():
        yield Text(sentence)
    yield Text(_items(report))
    yield _comparison(report)
    if report.models:
        yield _models(report.models)
    if report.skills:
        yield _skills(report.skills)
    if report.failures:
        yield _failures(report.failures)
    for note in _notes(report):
        yield Text(note, style="dim")


def _state(report: Report) -> str:
    return f"{report.state}, nothing settled" if report.state == "done" and not report.settled else report.state


def _items(report: Report) -> str:
    parts = [count(report.items, "item"), f"{report.settled:,} settled", f"{report.failed:,} failed"]
    parts += [f"{report.review:,} in review"] if report.review else []
    parts += [f"{report.cancelled:,} cancelled"] if report.cancelled else []
    parts += [f"{tier} {settled:,}" for tier, settled in report.by_tier.items()]
    parts.append(f"{percent(report.escalation_rate)} escalated")
    latency = report.latency_s
    if latency.p50 is not None:
        parts.append(f"latency p50 {seconds(latency.p50)}, p95 {seconds(latency.p95)}, p99 {seconds(latency.p99)}")
    if report.wall_s is not None:
        parts.append(f"took {seconds(report.wall_s)}")
    return " · ".join(parts)


# Beside the baselines ---------------------------------------------------------------------------------------------


def _comparison(report: Report) -> Table:
    table = _table("", "quality", "cost", "of frontier", "")
    table.columns[0].no_wrap = True
    frontier_usd = report.baseline_cost_usd
    table.add_row(
        "Firstline",
        percent(overall_quality(report)),
        dollars(report.cost_usd),
        percent(_ratio(report.cost_usd, frontier_usd)),
        "measured",
        style="bold",
    )
    for line in comparisons(report):
        table.add_row(
            _named(line),
            percent(line.quality),
            dollars(line.cost_usd),
            percent(_ratio(line.cost_usd, frontier_usd)),
            _how(line),
        )
    return table


def comparisons(report: Report) -> tuple[Baseline, ...]:
    """Return the report's baselines, with the estimate of the top tier alone where it was not measured."""
    name = NAMES[BaselineKind.FRONTIER]
    if report.baseline_cost_usd is None or any(line.name == name for line in report.baselines):
        return report.baselines
    estimate = Baseline(name=name, cost_usd=report.baseline_cost_usd, measured=report.baseline_measured)
    return (*report.baselines, estimate)


def _how(line: Baseline) -> str:
    """Say how a baseline's figures came about; random routing is what is to be expected from two measured ways."""
    if not line.measured:
        return "estimated"
    return "measured" if line.frontier_share is None else "computed from both"


def _named(line: Baseline) -> str:
    return f"{line.name} ({percent(line.frontier_share)} frontier)" if line.frontier_share is not None else line.name


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


# The rest ---------------------------------------------------------------------------------------------------------


def _models(lines: tuple[ModelLine, ...]) -> Table:
    table = _table(
        "model", "tier", "calls", "accepted", "wrong", "no answer", "tokens in (cached)", "out", "cost", "p50", "p95"
    )
    for line in lines:
        table.add_row(
            line.model,
            line.tier,
            f"{line.attempts:,}",
            f"{line.accepted:,}",
            percent(line.error_rate),
            f"{line.unanswered:,}",
            f"{line.input_tokens:,} ({line.cached_tokens:,})",
            f"{line.output_tokens:,}",
            dollars(line.cost_usd),
            seconds(line.latency_s.p50),
            seconds(line.latency_s.p95),
        )
    return table


def _skills(lines: tuple[SkillLine, ...]) -> Table:
    table = _table("task", "done", "calls", "wrong", "no answer", "cost", "a task")
    for line in lines:
        table.add_row(
            line.skill,
            f"{line.tasks:,}",
            f"{line.calls:,}",
            percent(line.error_rate),
            f"{line.unanswered:,}",
            dollars(line.cost_usd),
            dollars(line.cost_per_task_usd),
        )
    return table


def _failures(failures: dict[str, int]) -> Table:
    table = _table("why items failed", "items")
    worst = sorted(failures.items(), key=lambda pair: -pair[1])
    for reason, items in worst[:_WORST_REASONS]:
        table.add_row(reason, f"{items:,}")
    if len(worst) > _WORST_REASONS:
        rest = worst[_WORST_REASONS:]
        table.add_row(f"{len(rest)} more reasons", f"{sum(items for _, items in rest):,}")
    return table


def _notes(report: Report) -> Iterator[str]:
    quality = report.quality
    if quality:
        spread = f", 95% interval {percent(quality.low)} to {percent(quality.high)}" if quality.low is not None else ""
        yield f"Quality: {quality.compare} on {count(quality.items, 'item')} with ground truth{spread}."
    if report.saving is not None:
        how = "measured" if report.baseline_measured else "estimated"
        without = percent(report.saving_without_audits)
        audits = f"; {without} without its audits ({dollars(report.audit_cost_usd)})" if report.audit_cost_usd else ""
        yield f"Saving against the top tier alone ({how}): {percent(report.saving)}{audits}."
    if report.unpriced_attempts:
        yield f"{count(report.unpriced_attempts, 'call')} without a known price: not in the cost above."
    yield from (_by_student(line) for line in report.skills if line.by_student)
    if report.lanes:
        yield f"Lanes: {'; '.join(map(_lane, report.lanes))}."
    if report.cache_hits:
        yield f"{count(report.cache_hits, 'answer')} from the response cache saved {dollars(report.cache_saved_usd)}."
    if report.duplicates:
        yield f"{count(report.duplicates, 'item')} equal to another one: answered once."
    if report.taken_over:
        asked = report.items - report.taken_over - report.duplicates
        yield (
            f"{count(report.taken_over, 'answer')} taken over from earlier jobs saved "
            f"{dollars(report.taken_over_usd)}; {count(asked, 'item')} new, changed or no longer certified."
        )
    if report.estimate:
        in_all = None if report.cost_usd is None else report.cost_usd + report.audit_cost_usd
        yield compared(report.estimate, in_all)
    yield from report.notes


def _by_student(line: SkillLine) -> str:
    share = percent(line.by_student / line.tasks)
    saved = f"; as the others were paid they would have cost {dollars(line.student_saved_usd)}"
    told = f"The job's own student answered {share} of {line.skill} ({line.by_student:,} of {line.tasks:,}) for nothing"
    return f"{told}{saved if line.student_saved_usd is not None else ''}."


def _lane(line: LaneLine) -> str:
    away = f", {line.turned_away:,} turned away" if line.turned_away else ""
    return f"{line.lane.value} {count(line.answered, 'call')}{away}, {dollars(line.cost_usd)}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 or not column else "right", overflow="fold")
    return table


def compared(planned: Estimate, cost_usd: float | None) -> str:
    """Return how a job's cost compares with what was expected of it."""
    if planned.cost_usd is None or planned.low_usd is None or planned.high_usd is None or cost_usd is None:
        return "Its cost was not estimated before the run: a price was unknown."
    inside = planned.low_usd <= cost_usd <= planned.high_usd
    where = "within" if inside else "below" if cost_usd < planned.low_usd else "above"
    span = f"{dollars(planned.low_usd)} to {dollars(planned.high_usd)}"
    return f"Estimated before the run: {dollars(planned.cost_usd)} ({span}); it cost {dollars(cost_usd)}, {where} that."
