"""A workflow becomes a plan: dependencies made explicit, cut into segments at barriers, tiers resolved."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator.plans.compile import compile_plan, granted_tools, ladder_of
from firstline.orchestrator.plans.thresholds import nothing_certified
from firstline.orchestrator.store.calibrations import Certificate
from firstline.schemas.access import Role
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, Step, StepKind, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier
from firstline.schemas.tool import Grant, ToolSpec

PROFILE = Profile(
    name="p", tiers=tuple(Tier(name=name, models=(Model(name=f"openai/{name}"),)) for name in ("low", "mid", "top"))
)
CATALOGUE = load_catalogue()
SKILL = {
    "name": "sort",
    "instructions": "Sort.",
    "input": {"text": {}},
    "output": {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]},
}


def skill(**changes: Any) -> Skill:
    return Skill.model_validate({**SKILL, **changes})


def compiled(*steps: Step, known: tuple[Certificate, ...] = (), own: Skill | None = None, **options: Any) -> Plan:
    workflow = Workflow(name="w", steps=steps, skills=(own or skill(),), **options)
    by_model = {one.model: one for one in known}
    return compile_plan(workflow, catalogue=CATALOGUE, profile=PROFILE, tiers=(), certificates=lambda skill: by_model)


def certificate(model: str, **changes: Any) -> Certificate:
    known = {"calibration": 1, "signal": "agreement", "threshold": 0.7, "max_loss": 0.025, "delta": 0.05, "borne": 0.05}
    return Certificate(model=f"openai/{model}", **{**known, **changes})


def step(name: str, **options: Any) -> Step:
    return Step(name=name, **{"skill": "sort", **options})


def segments(plan: Plan) -> dict[str, int]:
    return {planned.step.name: planned.segment for planned in plan.steps}


def test_steps_without_barriers_are_one_segment() -> None:
    assert segments(compiled(step("a"), step("b", after=("a",)), step("c"))) == {"a": 0, "b": 0, "c": 0}


def test_a_barrier_stands_alone_between_what_it_waits_for_and_what_follows() -> None:
    plan = compiled(step("a"), step("all", scope="job", after=("a",)), step("b", after=("all",)))
    assert segments(plan) == {"a": 0, "all": 1, "b": 2}


def test_a_synthesis_that_names_nothing_waits_for_all_items() -> None:
    plan = compiled(step("a"), step("b"), step("end", kind=StepKind.SYNTHESIZE, scope="job"))
    assert plan.step("end").step.after == ("a", "b")
    assert segments(plan)["end"] == 1


def test_what_a_step_refers_to_it_also_waits_for() -> None:
    plan = compiled(step("a"), step("b", inputs={"text": "a.label"}), step("c", when="b.label == 'a'"))
    assert plan.step("b").step.after == ("a",)
    assert plan.step("c").step.after == ("b",)


def test_barriers_begin_on_the_orchestrator_tier() -> None:
    plan = compiled(step("a"), step("end", kind=StepKind.SYNTHESIZE, scope="job"))
    assert (plan.step("a").start_tier, plan.step("end").start_tier) == ("low", "top")


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        pytest.param((step("a", after=("b",)), step("b", after=("a",))), "wait for each other", id="a cycle"),
        pytest.param((step("a", after=("z",)),), "there is no step 'z'", id="an unknown step"),
        pytest.param((step("a", skill="nosuch"),), "nosuch", id="an unknown skill"),
        pytest.param((Step(name="a"),), "names a `skill`", id="a skill step without a skill"),
    ],
)
def test_a_workflow_that_cannot_run_is_refused_in_a_sentence(steps: tuple[Step, ...], says: str) -> None:
    with pytest.raises(UserError, match=says):
        compiled(*steps)


def test_an_unknown_tier_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="no tier 'huge'"):
        ladder_of(PROFILE, ("huge",))
    assert ladder_of(PROFILE, ("top", "low")) == ("low", "top")


AGREEING = skill(confidence=[{"kind": "agreement"}])


def values(plan: Plan) -> dict[str, float | None]:
    """The thresholds of a plan's only step, by model."""
    return {name: one.value for models in plan.steps[0].thresholds.values() for name, one in models.items()}


@pytest.mark.parametrize(
    ("policy", "value", "start"),
    [
        pytest.param({"min_confidence": 0.9}, 0.9, "low", id="the policy's own"),
        pytest.param({"uncalibrated": "escalate"}, None, "top", id="uncalibrated may mean that all escalate"),
    ],
)
def test_what_a_policy_declares_holds_for_every_model_below_the_top(
    policy: dict[str, Any], value: float | None, start: str
) -> None:
    plan = compiled(step("a", policy=Policy(**policy)), own=AGREEING)
    assert values(plan) == {"openai/low": value, "openai/mid": value}
    assert plan.steps[0].start_tier == start


@pytest.mark.parametrize(
    ("known", "policy", "expected", "start"),
    [
        pytest.param(
            [certificate("low"), certificate("mid")], {"min_confidence": 0.9}, (0.7, 0.7), "low", id="the whole ladder"
        ),
        pytest.param([certificate("low")], {}, (0.7, None), "low", id="a tier in between that has none"),
        pytest.param([certificate("mid")], {}, (None, 0.7), "mid", id="a first tier that has none is not asked"),
        pytest.param([certificate("low", threshold=None)], {}, (None, None), "top", id="nothing could be certified"),
        pytest.param(
            [certificate("low"), certificate("mid", max_loss=0.04)], {}, (0.7, None), "low", id="more than is borne"
        ),
        pytest.param([certificate("low")], {"max_loss": 0.01}, (None, None), "top", id="the step bears less"),
        pytest.param(
            [certificate("low", drifted=True)], {"on_drift": "escalate"}, (None, None), "top", id="drifted: escalate"
        ),
        pytest.param([certificate("low", drifted=True)], {}, (0.7, None), "low", id="drifted: a flag"),
        pytest.param([certificate("low", signal="margin")], {}, (), "low", id="of a signal that the skill lost"),
    ],
)
def test_where_anything_is_certified_what_is_not_accepts_nothing_and_is_not_asked(
    known: list[Certificate], policy: dict[str, Any], expected: tuple[float | None, ...], start: str
) -> None:
    plan = compiled(step("a", policy=Policy(**policy)), known=tuple(known), own=AGREEING)
    assert tuple(values(plan).values()) == expected
    assert plan.steps[0].start_tier == start


def test_a_model_that_gives_no_log_probabilities_is_not_asked_where_only_these_could_make_it_sure() -> None:
    own = skill(confidence=[{"kind": "margin"}], policy={"min_confidence": 0.9})
    assert compiled(step("a"), own=own).steps[0].start_tier == "top"


def test_a_step_s_policy_is_laid_over_its_skill_s_field_by_field_also_after_a_message() -> None:
    own = skill(policy={"min_confidence": 0.9, "attempts_per_tier": 3}, confidence=[{"kind": "agreement"}])
    given = Workflow(name="w", steps=(step("a", policy=Policy(audit_share=0.05, attempts_per_tier=1)),), skills=(own,))
    sent = Workflow.model_validate_json(given.model_dump_json())
    (planned,) = compiled(*sent.steps, own=sent.skills[0]).steps
    policy = planned.policy
    assert (policy.min_confidence, policy.audit_share, policy.attempts_per_tier) == (0.9, 0.05, 1)
    assert {one.value for one in planned.thresholds["low"].values()} == {0.9}


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_segments_never_run_backwards_and_barriers_stand_alone(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 7))
    steps = []
    for n in range(count):
        after = tuple(f"s{one}" for one in sorted(data.draw(st.sets(st.integers(0, n - 1))) if n else set()))
        steps.append(step(f"s{n}", after=after, scope=data.draw(st.sampled_from(["item", "job"]))))
    plan = compiled(*steps)
    for planned in plan.steps:
        for name in planned.step.after:
            before = plan.step(name)
            barrier = planned.step.is_barrier or before.step.is_barrier
            assert before.segment < planned.segment if barrier else before.segment <= planned.segment
        if planned.step.is_barrier:
            assert plan.segment(planned.segment) == (planned,)
    assert {planned.segment for planned in plan.steps} == set(range(plan.segments))


SQL = ToolSpec(name="sql", kind="sql", grants=(Grant(tenant="acme", role=Role.OPERATOR),))
ANYBODYS = ToolSpec(name="look", kind="search", grants=(Grant(),))
SECRET = ToolSpec(name="files", kind="python")


class Shelves:
    """A catalogue of three tools."""

    skills = CATALOGUE.skills
    tools = (SQL, ANYBODYS, SECRET)

    def skill(self, name: str) -> Skill:
        return CATALOGUE.skill(name)

    def tool(self, name: str) -> ToolSpec:
        return next(tool for tool in self.tools if tool.name == name)


@pytest.mark.parametrize(
    ("tenant", "role", "named", "granted"),
    [
        pytest.param("acme", Role.SUBMITTER, (), ("look",), id="the role is too low"),
        pytest.param("acme", Role.OPERATOR, (), ("look", "sql"), id="tenant and role are granted"),
        pytest.param("other", Role.OPERATOR, (), ("look",), id="another tenant"),
        pytest.param("other", Role.ADMIN, (), ("look",), id="an administrator who names none"),
        pytest.param("other", Role.ADMIN, ("files",), ("files", "look"), id="an administrator who names one"),
        pytest.param("acme", Role.OPERATOR, ("sql",), ("look", "sql"), id="named and granted"),
    ],
)
def test_a_planner_may_choose_what_its_submitter_was_granted_by_name(tenant, role, named, granted):
    assert granted_tools(Shelves(), named=named, tenant=tenant, role=role) == granted


def test_naming_a_tool_grants_it_to_nobody():
    with pytest.raises(UserError, match="not granted to the role operator"):
        granted_tools(Shelves(), named=("files",), tenant="acme", role=Role.OPERATOR)


@pytest.mark.parametrize("shape", [{"adapt": True}, {"goal": True}], ids=str)
def test_a_plan_that_models_go_on_with_brings_no_tool_of_the_catalogue_but_the_granted(shape):
    steps = (Step(name="plan__0", kind=StepKind.PLAN, options={"goal": "x"}),) if "goal" in shape else (step("one"),)
    workflow = Workflow(name="w", steps=steps, skills=(skill(),), adapt="adapt" in shape)
    plan = compile_plan(
        workflow,
        catalogue=Shelves(),
        profile=PROFILE,
        tiers=(),
        certificates=nothing_certified,
        granted=("look",),
    )
    assert plan.offered == ("look",)
    assert set(plan.tools) == {"look"}
