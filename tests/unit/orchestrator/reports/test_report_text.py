"""A report as people read it."""

import io

import pytest
from rich.console import Console

from firstline.orchestrator.reports.formatting import count, dollars, percent, seconds
from firstline.orchestrator.reports.report_text import print_report
from firstline.schemas.report import Baseline, ModelLine, Percentiles, QualityScore, Report

REPORT = Report(
    job="j1",
    name="triage",
    state="done",
    items=1000,
    settled=990,
    failed=10,
    cost_usd=1.25,
    baseline_cost_usd=10.0,
    saving=0.875,
    escalation_rate=0.123,
    error_rate_by_model={"openai/s": 0.05},
    latency_s=Percentiles(p50=0.8, p95=2.5, p99=12.0),
    quality=QualityScore(score=0.91, items=1000, compare="exact", low=0.89, high=0.93, score_all=0.9),
    by_tier={"cheap": 867, "frontier": 123},
    failures={"answer is no JSON": 7, "too long [5 MB]": 3},
    wall_s=75,
)


def shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=160, color_system=None)
    print_report(report, console)
    return console.file.getvalue()


def row(text: str, start: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(start))
    return line.removeprefix(start).split()


def test_the_summary_counts_items_by_how_they_ended():
    text = shown(REPORT)
    assert "triage (j1): done" in text
    assert "1,000 items · 990 settled · 10 failed · cheap 867 · frontier 123 · 12.3% escalated" in text
    assert "latency p50 0.80 s, p95 2.50 s, p99 12.0 s · took 1 min 15 s" in text


def test_an_unmeasured_frontier_is_marked_as_an_estimate():
    text = shown(REPORT)
    assert row(text, "Firstline") == ["90.0%", "$1.2500", "12.5%", "measured"]
    assert row(text, "frontier only") == ["–", "$10.0000", "100.0%", "estimated"]  # noqa: RUF001
    assert "Saving against the top tier alone (estimated): 87.5%." in text


def test_measured_baselines_stand_beside_the_run():
    lines = (
        Baseline(name="cheap only", cost_usd=0.5, quality=0.7, measured=True),
        Baseline(name="frontier only", cost_usd=10.0, quality=0.95, measured=True),
        Baseline(name="random routing", cost_usd=1.7, quality=0.731, measured=True, frontier_share=0.124),
    )
    text = shown(REPORT.evolve(baselines=lines, baseline_measured=True))
    assert row(text, "cheap only") == ["70.0%", "$0.5000", "5.0%", "measured"]
    assert row(text, "frontier only") == ["95.0%", "$10.0000", "100.0%", "measured"]
    assert row(text, "random routing (12.4% frontier)") == ["73.1%", "$1.7000", "17.0%", "computed", "from", "both"]
    assert text.count("frontier only") == 1
    assert "Saving against the top tier alone (measured): 87.5%." in text


def test_what_is_unknown_is_a_dash_and_never_zero():
    bare = REPORT.evolve(cost_usd=None, baseline_cost_usd=None, saving=None, quality=None, unpriced_attempts=3)
    text = shown(bare)
    assert row(text, "Firstline") == ["–", "–", "–", "measured"]  # noqa: RUF001
    assert "Saving" not in text
    assert "3 calls without a known price: not in the cost above." in text


def test_every_model_and_every_reason_has_its_line():
    model = ModelLine(
        model="openai/s",
        tier="cheap",
        attempts=1200,
        accepted=867,
        unanswered=7,
        error_rate=0.05,
        input_tokens=340_000,
        cached_tokens=120_000,
        output_tokens=9_000,
        cost_usd=0.00005,
        latency_s=Percentiles(p50=0.8),
    )
    text = shown(REPORT.evolve(models=(model,)))
    expected = ["cheap", "1,200", "867", "5.0%", "7", "340,000", "(120,000)", "9,000", "$5e-05", "0.80", "s", "–"]  # noqa: RUF001
    assert row(text, "openai/s") == expected
    assert row(text, "too long [5 MB]") == ["3"]


def test_strangers_words_are_no_markup(capsys):
    reasons = {"expected a citation such as [pep-0503#4], :bug: [/] [red]this[/red]": 7}
    print_report(REPORT.evolve(failures=reasons))
    assert "such as [pep-0503#4], :bug: [/] [red]this[/red]" in capsys.readouterr().out


def test_rare_reasons_are_summed_up():
    text = shown(REPORT.evolve(failures={f"reason {number}": number for number in range(1, 12)}))
    assert row(text, "3 more reasons") == ["6"]
    assert "reason 11 " in text


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        pytest.param(dollars(None), "–", id="unknown dollars"),  # noqa: RUF001
        pytest.param(dollars(0), "$0.0000", id="nothing spent"),
        pytest.param(dollars(0.0000123), "$1.2e-05", id="tiny"),
        pytest.param(dollars(1234.5), "$1,234.50", id="large"),
        pytest.param(percent(0.123456), "12.3%", id="percent"),
        pytest.param(seconds(0.456), "0.46 s", id="short"),
        pytest.param(seconds(59.95), "60.0 s", id="just under a minute"),
        pytest.param(seconds(200), "3 min 20 s", id="minutes"),
        pytest.param(seconds(7500), "2 h 05 min", id="hours"),
        pytest.param(count(1, "item"), "1 item", id="one"),
        pytest.param(count(1200, "item"), "1,200 items", id="many"),
    ],
)
def test_figures_are_written_for_people(figure, text):
    assert figure == text
