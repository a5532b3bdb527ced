"""A job's baselines: which are run, under which key, and what follows from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.plans.single_tier import as_they_come
from firstline.orchestrator.reports import baselines
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.jobfile import BaselineKind
from firstline.schemas.plan import Plan, PlannedStep, Step
from firstline.schemas.policy import Threshold
from firstline.schemas.report import Baseline, Percentiles, QualityScore, Report
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier, TierKind

CHEAP, FRONTIER, RANDOM = BaselineKind.CHEAP, BaselineKind.FRONTIER, BaselineKind.RANDOM
PROFILE = Profile(
    name="p",
    tiers=(
        Tier(name="tools", kind=TierKind.TOOLS),
        Tier(name="small", models=(Model(name="openai/s"),)),
        Tier(name="middle", models=(Model(name="openai/m"),)),
        Tier(name="large", models=(Model(name="openai/l"),)),
    ),
)


def report(**changes) -> Report:
    return Report(
        job="j1",
        name="triage",
        state="done",
        items=100,
        settled=100,
        failed=0,
        cost_usd=1.0,
        baseline_cost_usd=None,
        saving=None,
        escalation_rate=0.25,
        error_rate_by_model={},
        latency_s=Percentiles(),
        quality=None,
    ).evolve(**changes)


def scored(score: float, score_all: float | None = None) -> QualityScore:
    return QualityScore(score=score, items=100, compare="exact", score_all=score_all)


@pytest.mark.parametrize(
    ("wanted", "run"),
    [
        pytest.param((), (), id="nothing wanted, nothing paid"),
        pytest.param((FRONTIER,), (FRONTIER,), id="one"),
        pytest.param((FRONTIER, CHEAP), (CHEAP, FRONTIER), id="cheap first"),
        pytest.param((RANDOM,), (CHEAP, FRONTIER), id="random routing needs both"),
    ],
)
def test_only_what_is_needed_is_run(wanted, run):
    assert baselines.to_run(wanted) == run


@pytest.mark.parametrize(
    ("kind", "tier"), [pytest.param(CHEAP, "small", id="cheap"), pytest.param(FRONTIER, "large", id="frontier")]
)
def test_a_baseline_is_the_same_job_on_one_tier_with_a_key_of_its_own(kind, tier):
    options = Options(budget_usd=3.0, webhook_url="https://example.org/hook", dedupe=False, tenant="a")
    main = JobRequest(workflow="triage", name="triage", options=options, idempotency_key="mine")
    other = baselines.request(main, "j1", kind, PROFILE)
    assert other.options.tiers == (tier,)
    assert (other.options.purpose, other.options.webhook_url) == ("baseline", None)
    assert (other.options.budget_usd, other.options.dedupe, other.options.tenant) == (3.0, False, "a")
    assert other.idempotency_key == f"baseline:j1:{kind.value}"
    assert (other.workflow, other.name) == ("triage", f"triage: {baselines.NAMES[kind]}")


def test_random_routing_lies_between_the_two_at_the_share_that_the_run_sent_up():
    main = report(by_tier={"tools": 0, "small": 60, "middle": 15, "large": 25}, cost_usd=2.0)
    low = report(cost_usd=1.0, quality=scored(0.6))
    high = report(cost_usd=9.0, quality=scored(0.9))
    compared = baselines.compared(main, {CHEAP: low, FRONTIER: high}, PROFILE)
    cheap, frontier, random = compared.baselines
    assert (cheap.name, cheap.cost_usd, cheap.quality, cheap.measured) == ("cheap only", 1.0, 0.6, True)
    assert (frontier.name, frontier.cost_usd, frontier.quality, frontier.measured) == ("frontier only", 9.0, 0.9, True)
    assert random.frontier_share == 0.25
    assert random.cost_usd == pytest.approx(3.0)
    assert random.quality == pytest.approx(0.675)


def test_a_measured_frontier_replaces_the_estimate():
    main = report(cost_usd=2.0, baseline_cost_usd=7.0, baseline_measured=False, saving=1 - 2 / 7)
    compared = baselines.compared(main, {FRONTIER: report(cost_usd=8.0)}, PROFILE)
    assert (compared.baseline_cost_usd, compared.baseline_measured, compared.saving) == (8.0, True, 0.75)


def test_without_baselines_the_report_stays_as_it_is():
    main = report(baseline_cost_usd=7.0)
    assert baselines.compared(main, {}, PROFILE) == main


def test_an_unknown_cost_stays_unknown():
    compared = baselines.compared(report(), {CHEAP: report(cost_usd=None), FRONTIER: report(cost_usd=4.0)}, PROFILE)
    assert [line.cost_usd for line in compared.baselines] == [None, 4.0, None]
    assert [line.quality for line in compared.baselines] == [None, None, None]


def test_items_that_failed_count_as_wrong_when_ways_are_compared():
    compared = baselines.compared(report(), {CHEAP: report(quality=scored(0.9, score_all=0.45))}, PROFILE)
    assert compared.baselines[0].quality == 0.45


money = st.floats(0, 1e6)
shares = st.floats(0, 1)


@given(low=money, high=money, share=shares)
def test_random_routing_never_leaves_the_range_of_the_two(low, high, share):
    line = baselines.random_routing(
        Baseline(name="cheap only", cost_usd=low, measured=True),
        Baseline(name="frontier only", cost_usd=high, measured=False),
        share,
    )
    assert line.cost_usd is not None
    assert min(low, high) - 1e-6 <= line.cost_usd <= max(low, high) + 1e-6
    assert not line.measured


def test_a_baseline_takes_answers_as_they_come():
    skill = Skill.model_validate(
        {
            "name": "sort",
            "instructions": "Sort.",
            "input": {"text": {}},
            "output": {"type": "string"},
            "checks": [{"kind": "regex", "pattern": "x"}],
            "confidence": [{"kind": "mean_logprob"}],
            "policy": {"min_confidence": 0.9, "audit_share": 0.5, "attempts_per_tier": 3},
        }
    )
    planned = PlannedStep(
        step=Step(name="sort", skill="sort"),
        segment=0,
        start_tier="small",
        policy=skill.policy,
        thresholds={"small": {"m": Threshold(signal="mean_logprob", value=None)}},
    )
    plan = as_they_come(Plan(workflow="w", steps=(planned,), skills={"sort": skill}, output="sort"))
    assert (plan.skills["sort"].checks, plan.skills["sort"].confidence, plan.steps[0].thresholds) == ((), (), {})
    policy = plan.steps[0].policy
    assert (policy.min_confidence, policy.audit_share, policy.attempts_per_tier) == (None, 0.0, 3)
