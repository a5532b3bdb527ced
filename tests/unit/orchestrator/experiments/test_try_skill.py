"""A skill tried alone: what a person may type, which tier answers, and what is shown."""

from datetime import UTC, datetime

import pytest
from rich.console import Console

from firstline.orchestrator.experiments.try_skill import on_one_tier, read_item, try_skill
from firstline.orchestrator.reports.item_history import AttemptLine, ItemLine, Story
from firstline.orchestrator.reports.item_text import rendered
from firstline.schemas.check import CheckResult
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.policy import Signal
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Service, Tier, TierKind

SORT = Skill.model_validate(
    {"name": "sort", "instructions": "Sort.", "input": {"text": {}}, "output": {"type": "object"}}
)
PAIR = SORT.evolve(input={**SORT.input, "other": SORT.input["text"]})
PROFILE = Profile(
    name="mine",
    tiers=(
        Tier(name="tools", kind=TierKind.TOOLS),
        Tier(name="cheap", models=(Model(name="openai/small", api_base="service:sim"), Model(name="openai/spare"))),
        Tier(name="frontier", models=(Model(name="openai/large"),)),
    ),
    services=(Service(name="sim", kind="simulator", source="s.yaml"),),
)


@pytest.mark.parametrize(
    ("given", "skill", "item"),
    [
        pytest.param("some text", SORT, {"text": "some text"}, id="a text is the only required field"),
        pytest.param(' {"text": "x", "n": 1}', SORT, {"text": "x", "n": 1}, id="a JSON object is the item"),
        pytest.param("[1]", SORT, {"text": "[1]"}, id="anything else is a text"),
    ],
)
def test_an_item_is_typed_as_a_text_or_an_object(given, skill, item):
    assert read_item(given, skill) == item


@pytest.mark.parametrize(
    ("given", "skill", "said"),
    [
        pytest.param('{"text": ', SORT, "begins like a JSON object and is none", id="broken object"),
        pytest.param("x", PAIR, 'expected --item \'{"text": "...", "other": "..."}\', got a text', id="two fields"),
    ],
)
def test_an_item_that_will_not_do_is_a_sentence(given, skill, said):
    with pytest.raises(UserError) as caught:
        read_item(given, skill)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("skill", "model", "tier", "models", "services"),
    [
        pytest.param(SORT, None, "cheap", ["openai/small", "openai/spare"], 1, id="where it would start"),
        pytest.param(SORT.evolve(reasoning="high"), None, "frontier", ["openai/large"], 0, id="hard skills at the top"),
        pytest.param(SORT, "openai/spare", "cheap", ["openai/spare"], 0, id="a model of the profile"),
        pytest.param(SORT, "large", "frontier", ["openai/large"], 0, id="without its provider"),
        pytest.param(SORT, "anthropic/other", "try", ["anthropic/other"], 0, id="a model that the profile lacks"),
    ],
)
def test_one_tier_answers_and_only_its_services_are_started(skill, model, tier, models, services):
    profile, name = on_one_tier(PROFILE, skill, model)
    assert name == tier
    assert [one.name for one in profile.tiers] == [tier, "tools"]
    assert [one.name for one in profile.tiers[0].models] == models
    assert len(profile.services) == services


def test_the_tier_of_a_verifier_comes_along():
    weighed = SORT.evolve(confidence=(Signal(kind="verifier", tier="frontier"),))
    profile, _ = on_one_tier(PROFILE, weighed, None)
    assert {tier.name for tier in profile.tiers} == {"cheap", "tools", "frontier"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"name": "nothing", "given": "x"}, "no skill is called 'nothing'", id="unknown skill"),
        pytest.param({"name": "summarize", "given": "{}"}, "required input 'text'", id="item without its field"),
        pytest.param(
            {"name": "summarize", "given": "x", "profile": "recorded"}, "--script FILE", id="nothing to replay"
        ),
    ],
)
def test_what_cannot_be_tried_is_said_before_anything_starts(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        try_skill(**arguments)
    assert said in str(caught.value)
    assert not (tmp_path / ".firstline").exists()


def test_prompt_raw_answer_checks_and_price_are_shown():
    attempt = AttemptLine(
        step="sort",
        n=0,
        purpose="answer",
        tier="cheap",
        model="openai/small",
        started_at=datetime.now(UTC),
        latency_s=0.5,
        input_tokens=1200,
        cached_tokens=1000,
        cost_usd=0.25,
        text='{"label": "[red]raw[/red]"}',
        checks=(CheckResult(check="schema"), CheckResult(check="range", reason="too large")),
        error="checks",
        verdict="reject",
        reason="failed range",
    )
    line = ItemLine(n=0, item_id="1", status=ItemState.FAILED, attempts=1, cost_usd=0.25, reason="failed range")
    story = Story(item=line, input={"text": "x"}, subtasks=(), attempts=(attempt,))
    console = Console(width=120)
    with console.capture() as shown:
        console.print(rendered(story, {"sort": ({"role": "user", "content": "the prompt"},)}))
    for part in (
        "the prompt",
        '{"label": "[red]raw[/red]"}',
        "check schema: passed",
        "check range: too large",
        "verdict: reject: failed range",
        "1,200 tokens in (1,000 cached), unknown out, $0.2500, 0.50 s",
        "failed: failed range",
        "1 call, $0.2500",
    ):
        assert part in shown.get()
