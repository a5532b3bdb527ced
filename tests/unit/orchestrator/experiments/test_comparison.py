"""Models side by side: shares with intervals, what is malformed, and where to start."""

from dataclasses import replace

import pytest

from firstline.orchestrator.experiments.compare import compare_profile
from firstline.orchestrator.experiments.comparison import (
    CallRecord,
    ComparedStep,
    Run,
    build,
    dearest,
    items_needed,
    share,
)
from firstline.orchestrator.experiments.comparison_text import candidate_columns, candidate_row, render_page
from firstline.orchestrator.experiments.signal_power import Power, power_of
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.schemas.comparison import Share
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.schemas.tier import Model, Profile, Service, Tier, TierKind
from firstline.workers.rules.json_paths import MISSING

NO_GOLD = Truth()
GOLD = Truth(quality=Quality(gold="gold"))


def run(model: str, right: int, count: int, usd: float | None, *, failed: int = 0, error: str | None = None) -> Run:
    """A model that is right on the first `right` of `count` items and fails on the last `failed`."""
    values = ["yes"] * right + ["no"] * (count - right - failed) + [MISSING] * failed
    outputs = {str(n): value for n, value in enumerate(values)}
    failures = {key: "malformed" for key, value in outputs.items() if value is MISSING}
    calls = [CallRecord("s", 0.1 * (n + 1), usd, error if value is MISSING else None) for n, value in enumerate(values)]
    return Run(model, f"job-{model}", outputs, failures, {"s": outputs}, calls)


def compared(*runs: Run, truth: Truth = NO_GOLD):
    count = len(runs[0].outputs)
    items = {str(n): {"text": f"<b>{n}</b>", "gold": "yes"} for n in range(count)}
    return build(runs, items, workflow="w", truth=truth, steps=[ComparedStep("s", "sort", truth)])


def test_the_dearest_run_is_the_reference_and_the_last_one_where_a_price_is_unknown():
    cheap, dear = run("cheap", 1, 2, 0.001), run("dear", 1, 2, 0.1)
    assert dearest([dear, cheap]) is dear
    assert dearest([dear, run("free", 1, 2, None)]).model == "free"


def test_without_gold_models_are_measured_by_agreement_with_the_reference():
    found = compared(run("cheap", 37, 40, 0.001), run("dear", 40, 40, 0.1))
    cheap, dear = found.candidates
    assert (found.reference, found.gold, cheap.accuracy, dear.agreement) == ("dear", None, None, None)
    assert (cheap.agreement.right, cheap.agreement.of) == (37, 40)
    assert found.agreement["cheap"]["dear"] == found.agreement["dear"]["cheap"] == 37 / 40


def test_with_gold_every_model_has_an_accuracy_and_a_failed_item_is_wrong():
    found = compared(run("cheap", 6, 10, 0.001, failed=2), run("dear", 9, 10, 0.1), truth=GOLD)
    cheap, dear = found.candidates
    assert [(one.accuracy.right, one.accuracy.of) for one in (cheap, dear)] == [(6, 10), (9, 10)]
    assert (cheap.settled, cheap.failed) == (8, 2)
    assert [row.outputs["cheap"].right for row in found.rows] == [True] * 6 + [False] * 4
    assert found.rows[9].outputs["cheap"].failure == "malformed"


def test_the_malformed_rate_leaves_out_what_the_provider_failed():
    calls = [
        CallRecord("s", 1, 0.1, "off_schema"),
        CallRecord("s", 1, 0.1, "unsure"),
        CallRecord("s", 1, None, "server", answered=False),
        CallRecord("s", 1, 0.1, None),
    ]
    one = Run("m", "j", {"0": "yes"}, {}, {"s": {"0": "yes"}}, calls)
    found = compared(one).candidates[0]
    assert found.malformed_rate == pytest.approx(1 / 3)
    assert found.errors == {"off_schema": 1, "unsure": 1, "server": 1}
    assert found.usd_per_1000_items == pytest.approx(300)


@pytest.mark.parametrize(
    ("runs", "model", "words"),
    [
        pytest.param(
            [("cheap", 37, 0.001), ("dear", 40, 0.1)], "cheap", "right on 37 of 40; 95% interval 80-98%", id="clear"
        ),
        pytest.param(
            [("cheap", 14, 0.04), ("dear", 40, 0.1)], None, "undecided: cheap was right on 14 of 40", id="close"
        ),
        pytest.param(
            [("cheap", 2, 0.05), ("dear", 40, 0.1)], "dear", "no cheaper model was right often enough", id="bad"
        ),
        pytest.param(
            [("cheap", 30, 0.01), ("mid", 38, 0.02), ("dear", 40, 1.0)],
            "mid",
            "start on mid",
            id="dearer, but pays more",
        ),
        pytest.param([("cheap", 30, 0.01), ("dear", 40, None)], None, "what dear costs is unknown", id="no price"),
    ],
)
def test_the_start_is_the_cheapest_way_that_surely_pays(runs, model, words):
    start = compared(*(run(name, right, 40, usd) for name, right, usd in runs)).start[0]
    assert words in start.said
    assert start.model == model or "unknown" in words


def test_more_items_are_asked_for_where_they_would_tell():
    assert items_needed(Share(right=14, of=40, low=0.2, high=0.5), 0.4) > 40
    assert items_needed(Share(right=16, of=40, low=0.2, high=0.5), 0.401) is None


def test_a_share_of_what_nobody_can_tell_is_none():
    assert share([None, None], NO_GOLD) is None
    assert (share([True, None, False], NO_GOLD).right, share([True, None, False], NO_GOLD).of) == (1, 2)


def test_the_page_holds_everything_and_escapes_what_items_say():
    found = compared(run("cheap", 3, 4, 0.001), run("dear", 4, 4, 0.1), truth=GOLD)
    page = render_page(found)
    assert "&lt;b&gt;3&lt;/b&gt;" in page
    assert "<b>3</b>" not in page
    assert found.start[0].said.split(";")[0] in page
    assert "http" not in page.replace("http-equiv", "")
    assert len(candidate_columns(found)) == len(candidate_row(found.candidates[0], found))


# Which models --------------------------------------------------------------------------------------------------------

PROFILE = Profile(
    name="p",
    tiers=(
        Tier(name="tools", kind=TierKind.TOOLS),
        Tier(
            name="cheap", queue="q1", models=(Model(name="openai/small", api_base="service:a"), Model(name="x/spare"))
        ),
        Tier(name="frontier", models=(Model(name="openai/large", api_base="service:b"),)),
    ),
    services=(Service(name="a", kind="llama", source="a.gguf"), Service(name="b", kind="llama", source="b.gguf")),
    orchestrator="frontier",
)


def test_models_are_found_by_name_by_bare_name_or_by_tier_and_run_on_their_tier_s_queue():
    found = compare_profile(PROFILE, ["small", "x/spare", "frontier", "other/new"])
    assert [tier.models[0].name for tier in found.ladder] == ["openai/small", "x/spare", "openai/large", "other/new"]
    assert [tier.queue for tier in found.ladder] == ["q1", "q1", "frontier", "q1"]


def test_only_the_services_of_the_compared_models_are_started():
    assert [service.name for service in compare_profile(PROFILE, ["small"]).services] == ["a"]
    assert [tier.models[0].name for tier in compare_profile(PROFILE, []).ladder] == ["openai/small", "openai/large"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(["nope"], "no model or tier 'nope'; it has openai/small, x/spare, openai/large", id="unknown"),
        pytest.param(["small", "openai/small"], "openai/small twice", id="twice"),
    ],
)
def test_a_wrong_name_is_a_sentence(names, words):
    with pytest.raises(UserError, match=words):
        compare_profile(PROFILE, names)


def test_without_gold_in_the_rows_nothing_is_said_of_how_often_a_model_was_right():
    """ "No cheaper model was right often enough" was said where nobody could tell."""
    truth = Truth(quality=Quality(gold="absent"))
    found = compared(run("cheap", 37, 40, 0.001), run("dear", 40, 40, 0.1), truth=truth)
    assert "no item carries its right answer in `absent`" in found.start[0].said


def test_what_it_may_cost_is_said_at_best_and_at_worst():
    said = compared(run("cheap", 37, 40, 0.05), run("dear", 40, 40, 0.1)).start[0].said
    assert "At best" in said
    assert "at worst $150" in said


def weighed(model: str, usd: float, pairs: list[tuple[float, bool]]) -> Run:
    """A model whose answers have confidences: (confidence, right) of each item."""
    plain = run(model, 0, len(pairs), usd)
    values = {str(n): "yes" if right else "no" for n, (_, right) in enumerate(pairs)}
    sure = {"s": {str(n): value for n, (value, _) in enumerate(pairs)}}
    return replace(plain, outputs=values, answers={"s": values}, confidences=sure)


def test_what_it_expects_to_pay_follows_from_what_the_signal_tells():
    telling = [(0.9, True)] * 28 + [(0.2, False)] * 12
    blind = [(0.5, n % 10 < 7) for n in range(40)]
    dear = run("dear", 40, 40, 0.1)
    found = compared(weighed("cheap", 0.01, telling), dear, truth=GOLD).start[0]
    assert found.model == "cheap"
    assert found.expected_usd_per_1000_items == pytest.approx(10 + 0.3 * 100)
    assert "70% of its answers could be accepted here with 0.0% lost" in found.said
    found = compared(weighed("cheap", 0.01, blind), dear, truth=GOLD).start[0]
    assert found.model == "dear"
    assert found.expected_usd_per_1000_items == pytest.approx(100)
    assert "hardly tells when" in found.said


def test_a_threshold_takes_all_of_one_confidence_or_none_and_bears_its_loss():
    pairs = [(0.9, True)] * 20 + [(0.6, True)] * 18 + [(0.6, False)] * 2
    assert power_of(pairs, items=40, max_loss=0.05) == Power(1.0, 0.05, 0.6)
    assert power_of(pairs, items=40, max_loss=0.04) == Power(0.5, 0.0, 0.9)
    assert power_of([(None, True)] * 40, items=40, max_loss=0.05) is None
    assert power_of([(0.5, False)] * 40, items=40, max_loss=0.05) == Power(0.0, 0.0, None)
