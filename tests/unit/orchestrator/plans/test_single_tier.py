"""A workflow as one tier does it alone."""

from firstline.orchestrator.plans.single_tier import on_its_own
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.policy import LastResort, Policy
from firstline.schemas.skill import Skill

SKILL = Skill(
    name="sort",
    instructions="Sort.",
    input={"text": {}},
    output={"type": "string"},
    policy=Policy(min_confidence=0.8, last_resort=LastResort.REVIEW, audit_share=0.5, attempts_per_tier=3),
)


def workflow(*steps: Step, output=None) -> Workflow:
    return Workflow(name="w", steps=steps, output=output)


def test_nobody_is_asked_for_help_and_nothing_is_audited():
    policy = on_its_own(workflow(Step(name="a", skill="sort")), {"sort": SKILL}).skills[0].policy
    assert (policy.min_confidence, policy.last_resort, policy.audit_share) == (None, LastResort.REJECT, 0.0)
    assert policy.attempts_per_tier == 3


def test_confidence_is_measured_by_a_threshold_that_every_answer_passes():
    found = on_its_own(workflow(Step(name="a", skill="sort")), {"sort": SKILL}, weighed=True)
    assert found.skills[0].policy.min_confidence == 0.0
    assert found.skills[0].digest == SKILL.digest


def test_steps_that_see_all_items_are_left_out_with_all_that_waits_for_them():
    steps = (
        Step(name="a", skill="sort"),
        Step(name="look", kind=StepKind.CHECKPOINT, skill="sort", reviews="a", after=("a",)),
        Step(name="b", skill="sort", inputs={"text": "a"}),
        Step(name="c", skill="sort", after=("look",)),
        Step(name="d", skill="sort", inputs={"text": "c"}),
        Step(name="all", skill="sort", scope="job"),
    )
    found = on_its_own(workflow(*steps, output="b"), {"sort": SKILL})
    assert [step.name for step in found.steps] == ["a", "b"]
    assert found.output == "b"


def test_an_output_that_needs_a_left_out_step_is_left_out_too():
    steps = (Step(name="a", skill="sort"), Step(name="all", skill="sort", scope="job"))
    assert on_its_own(workflow(*steps, output="all"), {"sort": SKILL}).output is None
    mixed = {"one": "a.label", "two": "item.text", "three": "=x"}
    assert on_its_own(workflow(*steps, output=mixed), {"sort": SKILL}).output == mixed
