"""Plans that models write: what is wrong with them, what they become, what they will cost."""

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.drafts.draft import Draft, PlannerInput, Rubric, planning_workflow
from firstline.config.drafts.draft_flaws import draft_flaws
from firstline.orchestrator.plans.patterns.growth import open_sub_plan, replace_rest
from firstline.orchestrator.plans.patterns.tree import cut
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Step, StepKind
from firstline.schemas.policy import Demand
from firstline.schemas.skill import Skill
from firstline.workers.checks import run_checks
from firstline.workers.estimates.forecast import Load, forecast, total

GIVEN = PlannerInput.model_validate(
    {
        "goal": "Sort the mails.",
        "skills": [
            {
                "name": "sort",
                "input": {"text": "The text.", "hint": "(optional) A hint."},
                "output": {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]},
            }
        ],
        "tools": [{"name": "search"}],
        "tiers": [
            {"name": "cheap", "model": "s", "input_usd": 1, "output_usd": 1},
            {"name": "frontier", "model": "l", "input_usd": 10, "output_usd": 10},
        ],
        "items": {"count": 1000, "mean_chars": 400, "fields": ["id", "text"]},
        "done": [{"name": "before", "output": {"type": "object", "properties": {"tone": {"type": "string"}}}}],
        "limits": {"steps": 5, "depth": 3, "levels": 0},
    }
)
STEP = {"name": "label", "kind": "skill", "skill": "sort", "inputs": {"text": "item.text"}, "why": "w"}


def flaws(*steps, **more):
    return draft_flaws({"summary": "s", "steps": list(steps), **more}, GIVEN)[1]


def chain(count):
    steps = [{**STEP, "name": f"s{n}", "after": [f"s{n - 1}"] if n else []} for n in range(count)]
    return flaws(*steps)


def test_a_sound_plan_has_no_flaws():
    assert flaws(STEP, {**STEP, "name": "two", "inputs": {"text": "label.label", "hint": "before.tone"}}) == ()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        pytest.param({"skill": "srt"}, "no skill is called 'srt'; did you mean 'sort'?", id="unknown skill"),
        pytest.param({"kind": "tool", "skill": None, "tool": "sql"}, "no tool is called 'sql'", id="unknown tool"),
        pytest.param({"inputs": {"text": "item.txt"}}, "items have no field 'txt'; did you mean 'text'?", id="field"),
        pytest.param({"inputs": {"text": "gone.x"}}, "no step is called 'gone'", id="dangling reference"),
        pytest.param({"inputs": {"text": "before.tune"}}, "has no field 'tune'", id="field of a done step"),
        pytest.param({"after": ["label"]}, "wait for each other in a circle", id="circle"),
        pytest.param({"name": "before"}, "is taken by a step that is done", id="name taken"),
        pytest.param({"name": "a__b"}, "holds `__`", id="reserved name"),
        pytest.param({"when": "label ="}, "expected a condition", id="condition"),
        pytest.param(
            {"kind": "checkpoint", "skill": None, "inputs": {}}, "names the step that it reviews", id="review"
        ),
        pytest.param({"kind": "plan", "skill": None, "inputs": {}}, "may not be nested", id="sub-plan too deep"),
        pytest.param({"kind": "adapt"}, "only the engine", id="the engine's own kind"),
        pytest.param({"kind": "synthesize"}, "has no `item`", id="item in a whole-job step"),
        pytest.param({"inputs": {"text": "items"}}, "cannot see all `items`", id="items in a per-item step"),
        pytest.param({"kind": "synthesize", "inputs": {"text": "before.tone"}}, "is a list here", id="field of a list"),
        pytest.param({"inputs": {"text": "item.text", "x": "=1"}}, "no input field 'x'", id="unknown input"),
        pytest.param({"policy": {}}, "sets no policies", id="policy"),
        pytest.param(
            {
                "kind": "tool",
                "skill": None,
                "tool": "search",
                "inputs": {"query": "item.text"},
                "options": {"folder": "/"},
            },
            "a tool's options are set by who declares it",
            id="options of a tool",
        ),
        pytest.param(
            {"kind": "synthesize", "inputs": {"text": "label"}, "options": {"parts": [0, 1]}},
            "sets no options for a step of kind `synthesize`",
            id="options of the engine",
        ),
        pytest.param(
            {"kind": "plan", "skill": None, "inputs": {}, "options": {"goal": "g", "level": -9}},
            "has the option `goal` alone",
            id="deeper sub-plans than allowed",
        ),
        pytest.param({"surprise": 1}, "unknown field 'surprise'", id="unknown field"),
        pytest.param({"kind": "dance"}, "dance", id="unknown kind"),
    ],
)
def test_every_flaw_of_a_plan_is_told(step, told):
    assert any(told in flaw for flaw in flaws({**STEP, **step})), flaws({**STEP, **step})


OWN = {
    "name": "own",
    "instructions": "You sort.",
    "input": {"text": "t"},
    "output": {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]},
    "demand": {"inference": 0, "knowledge": 0, "judgement": 0, "span": 0},
}


def test_a_skill_of_a_plans_own_carries_examples_checks_and_a_signal():
    said = {
        **OWN,
        "examples": [{"input": {"text": "x"}, "output": {"label": "a"}}],
        "checks": [{"expression": "answer.label != 'b' or len(item.text) > 3", "hint": "Short texts are a."}],
    }
    assert flaws({**STEP, "skill": "own"}, skills=[said]) == ()
    skill = Draft.of({"summary": "s", "steps": [STEP], "skills": [said]}).skills[0].skill
    assert skill.examples[0].output == {"label": "a"}
    assert [check.kind for check in skill.checks] == ["expression"]
    assert [signal.kind for signal in skill.confidence] == ["margin", "agreement"]
    free = Draft.of({"summary": "s", "steps": [STEP], "skills": [{**said, "output": {"type": "object"}}]}).skills[0]
    assert free.skill.confidence[0].kind == "mean_logprob"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        pytest.param({"checks": [{"kind": "function", "path": "os:system"}]}, "unknown field 'kind'", id="a function"),
        pytest.param({"checks": [{"expression": "answer."}]}, "expression", id="no expression"),
        pytest.param({"examples": [{"input": {"text": "x"}, "output": {"label": "c"}}]}, "does not fit", id="a label"),
    ],
)
def test_examples_and_checks_of_a_plans_own_skill_are_checked(more, said):
    assert any(said in flaw for flaw in flaws({**STEP, "skill": "own"}, skills=[{**OWN, **more}]))


def test_a_plan_may_go_over_a_list_and_its_fields_are_checked():
    listed = {**STEP, "for_each": "item.text", "inputs": {"text": "each"}}
    assert flaws(listed) == ()
    assert any("no field 'parts'" in flaw for flaw in flaws({**listed, "for_each": "item.parts"}))
    assert any("`each` is an element" in flaw for flaw in flaws({**STEP, "inputs": {"text": "each"}}))


@pytest.mark.parametrize("given", [{"confidence": []}, {"tools": ["search"]}, {"policy": {}}, {"params": {}}], ids=str)
def test_a_skill_of_a_plans_own_grants_itself_nothing(given):
    own = {"name": "own", "instructions": "You sort.", "input": {"text": "t"}, "output": {"type": "object"}}
    demand = {"inference": 0, "knowledge": 0, "judgement": 0, "span": 0}
    told = flaws({**STEP, "skill": "own"}, skills=[{**own, "demand": demand, **given}])
    assert any(f"unknown field '{next(iter(given))}'" in flaw for flaw in told), told


@pytest.mark.parametrize("name", ["planner", "adapt"])
@pytest.mark.parametrize("options", [{"folder": "/"}, {"goal": "g", "level": 0}, {}], ids=str)
def test_the_schema_that_a_planner_is_shown_has_no_options_but_a_sub_plans_goal(name, options):
    skill = load_catalogue(()).skill(name)
    said = {"decision": "amend", "reason": "r", "summary": "s", "steps": [{**STEP, "options": options}]}
    allowed = said if name == "adapt" else {"summary": "s", "steps": said["steps"]}
    assert any(check.check == "schema" and not check.passed for check in run_checks(skill, allowed, item={}))


def test_too_many_steps_and_too_long_chains_are_told_and_do_not_take_long():
    assert "at most 3 steps" in chain(4)[0]
    assert "expected at most 5 steps, got 6" in chain(6)[0]
    assert "got 10,000" in chain(10_000)[0]


def test_no_plan_at_all_needs_a_reason():
    assert "at least one step" in flaws()[0]
    assert flaws(impossible="Nobody can.") == ()


NAMES = st.sampled_from(["steps", "name", "skills", "output", "kind"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@drawn(JSON)
def test_whatever_a_model_answers_is_told_not_raised(value):
    draft, told = draft_flaws(value, GIVEN)
    assert told or draft is not None


def test_a_plan_over_its_budget_is_sent_back_with_its_dearest_step():
    planner = load_catalogue(()).skill("planner")
    given = GIVEN.evolve(limits=GIVEN.limits.evolve(budget_usd=0.01)).model_dump(mode="json")
    dear = {"summary": "s", "steps": [{**STEP, "reasoning": "high"}]}
    check = run_checks(planner, dear, item=given)[-1]
    assert check.check == "plan"
    assert "$0.01 are left" in str(check.reason)
    assert "'label'" in str(check.reason)
    assert run_checks(planner, dear, item={**given, "limits": {"budget_usd": 100}})[-1].passed


def test_the_examples_of_the_orchestrators_skills_pass_their_own_checks():
    for name in ("planner", "adapt", "checkpoint", "refer", "synthesize"):
        skill = load_catalogue(()).skill(name)
        assert len(skill.examples) >= 3
        for example in skill.examples:
            assert all(check.passed for check in run_checks(skill, example.output, item=example.input))


@pytest.mark.parametrize(
    ("scores", "demand"),
    [
        pytest.param((0, 0, 1, 0), Demand.LOW, id="low"),
        pytest.param((1, 0, 1, 1), Demand.MEDIUM, id="medium"),
        pytest.param((2, 0, 2, 0), Demand.HIGH, id="open chains of judgement"),
        pytest.param((1, 2, 1, 2), Demand.HIGH, id="high by the sum"),
    ],
)
def test_reasoning_demand_follows_from_the_rubric(scores, demand):
    names = ("inference", "knowledge", "judgement", "span")
    assert Rubric.model_validate(dict(zip(names, scores, strict=True))).demand is demand


def test_what_a_step_will_cost_follows_from_tier_items_and_condition():
    skills = {"sort": Skill(name="sort", instructions="x", input={"text": {}}, output={"type": "string"})}
    steps = [Step(name="a", skill="sort"), Step(name="b", skill="sort", reasoning="high", when="a == 'x'")]
    parts = forecast(steps, skills=skills, tiers=GIVEN.tiers, load=Load(900, 400))
    assert [(part.tier, part.calls) for part in parts] == [("cheap", 900), ("frontier", 300)]
    assert parts[0].cost_usd < parts[1].cost_usd
    unpriced = [tier.evolve(input_usd=None) for tier in GIVEN.tiers]
    assert total(forecast(steps, skills=skills, tiers=unpriced, load=Load(900, 400))) is None


@pytest.mark.parametrize("goal", ["", "  \n", "x" * 50_000])
def test_a_goal_that_is_empty_or_endless_is_refused(goal):
    with pytest.raises(UserError, match="expected a goal"):
        planning_workflow(goal)


@drawn(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 100))
def test_groups_hold_all_parts_in_order_and_every_level_is_at_most_half_as_wide(sizes, most):
    ranges = cut(sizes, most=most)
    assert [place for start, end in ranges for place in range(start, end)] == list(range(len(sizes)))
    assert len(ranges) <= max(1, (len(sizes) + 1) // 2)


def planned(name, segment, **more):
    return PlannedStep(step=Step(name=name, skill="sort", **more), segment=segment, start_tier="cheap")


def test_what_referred_to_an_opened_step_reads_the_sub_plans_output():
    plan = Plan(
        workflow="w",
        steps=(
            planned("open", 0, kind=StepKind.PLAN),
            planned("use", 1, inputs={"text": "open.label"}, when="open.label == 'x' and reopen", after=("open",)),
        ),
        output={"a": "open.label", "b": "use"},
    )
    sub = Plan(workflow="s", steps=(planned("s1", 0), planned("s2", 1)), output="s2")
    grown = open_sub_plan(plan, sub, opener="open")
    assert [(one.step.name, one.segment) for one in grown.steps] == [("open", 0), ("s1", 1), ("s2", 2), ("use", 3)]
    use = grown.step("use").step
    assert (use.inputs, use.when) == ({"text": "s2.label"}, "s2.label == 'x' and reopen")
    assert set(use.after) == {"open", "s2"}
    assert grown.output == {"a": "s2.label", "b": "use"}
    fields = open_sub_plan(plan, sub.evolve(output={"label": "s1.tag"}), opener="open")
    assert fields.step("use").step.inputs == {"text": "s1.tag"}


def test_the_rest_of_a_plan_is_replaced_or_dropped():
    plan = Plan(workflow="w", steps=(planned("a", 0), planned("b", 1), planned("c", 2)), output="c")
    sub = Plan(workflow="s", steps=(planned("n", 0),), output="n")
    assert [one.step.name for one in replace_rest(plan, sub, behind=0).steps] == ["a", "n"]
    assert [one.step.name for one in replace_rest(plan, None, behind=1).steps] == ["a", "b"]


def test_a_draft_with_nulls_is_read_as_if_they_were_left_out():
    draft = Draft.of({"summary": "s", "impossible": None, "steps": [{**STEP, "when": None, "tool": None}]})
    assert draft.steps[0].when is None
    assert draft.workflow("Sort the mails!").name == "sort-the-mails"
