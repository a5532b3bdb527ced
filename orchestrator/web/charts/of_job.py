"""Charts of one job: its dollars and items over time, and how long its calls took."""

from collections.abc import Iterator, Sequence

from firstline.orchestrator.reports.job_charts import JobOverTime
from firstline.orchestrator.web.charts.chart import Chart, Series, added_up, layers, tier_colour

_OTHERS = {"failed": "bad", "review": "warn"}


def job_charts(found: JobOverTime, ladder: Sequence[str]) -> Iterator[Chart]:
    """Yield the charts of a job."""
    yield _dollars(found, ladder)
    yield _items(found, ladder)
    if found.latency:
        yield _latency(found, ladder)


def _dollars(found: JobOverTime, ladder: Sequence[str]) -> Chart:
    series = layers({tier: added_up(usd) for tier, usd in found.usd.items()}, ladder)
    note = ""
    if found.frontier_usd is not None:
        ended = added_up([sum(spans) for spans in zip(*found.items.values(), strict=True)])
        alone = tuple(found.frontier_usd * items for items in ended)
        series.append(Series(name="all on the top tier", values=alone, colour="ink", dashed=True))
        note = "The dashed line is what the items that had ended would have come to on the top tier, each at the mean."
    return Chart(
        name="dollars", title="Dollars", x=found.ends, x_unit="time", y_unit="usd", series=tuple(series), note=note
    )


def _items(found: JobOverTime, ladder: Sequence[str]) -> Chart:
    stack = layers({tier: added_up(count) for tier, count in found.items.items()}, ladder)
    series = tuple(one.evolve(colour=_OTHERS.get(one.name, one.colour)) for one in stack)
    return Chart(name="items", title="Items ended", x=found.ends, x_unit="time", y_unit="count", series=series)


def _latency(found: JobOverTime, ladder: Sequence[str]) -> Chart:
    labels = (*(f"≤ {edge:g} s" for edge in found.edges_s), f"> {found.edges_s[-1]:g} s")
    used = [n for n in range(len(labels)) if any(counts[n] for counts in found.latency.values())]
    shown = range(used[0], used[-1] + 1)
    series = tuple(
        Series(name=tier, values=tuple(float(counts[n]) for n in shown), colour=tier_colour(tier, ladder), kind="bars")
        for tier, counts in found.latency.items()
    )
    return Chart(
        name="latency",
        title="How long calls took",
        x=tuple(float(n) for n in range(len(shown))),
        x_unit="number",
        y_unit="count",
        labels=tuple(labels[n] for n in shown),
        series=series,
    )
