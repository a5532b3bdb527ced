"""What a plan says, before anything is spent, of students and decision models that will answer nothing."""

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.low_rungs import passed_by
from firstline.orchestrator.plans.thresholds import nothing_certified
from firstline.orchestrator.store.calibrations import Certificate
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.skill import InputField, Skill
from firstline.schemas.tier import Model, Profile, Tier, TierKind

CLOSED = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}
OPEN = {**CLOSED, "properties": {"label": {"enum": ["a", "b"]}, "quote": {"type": "string"}}}
PROFILE = Profile(
    name="p",
    tiers=(
        Tier(name="own", kind=TierKind.STUDENT),
        Tier(name="decide", kind=TierKind.DECISION, models=(Model(name="d/m"),)),
        Tier(name="cheap", models=(Model(name="openai/small"),)),
        Tier(name="top", models=(Model(name="openai/large"),)),
    ),
)


def said(output, *, certified=False, **step) -> list[str]:
    skill = Skill(name="sort", instructions="Sort.", input={"text": InputField()}, output=output)
    earlier = (Step(name="first", skill="sort"),) if step.get("after") else ()
    steps = (*earlier, Step(name="s", skill="sort", **step))
    sure = Certificate(
        model="d/m", threshold=0.9, signal="decision", calibration=1, max_loss=0.05, delta=0.1, borne=0.05
    )
    plan = compile_plan(
        Workflow(name="w", steps=steps, skills=(skill,)),
        catalogue=load_catalogue(),
        profile=PROFILE,
        tiers=(),
        certificates=(lambda _: {"d/m": sure}) if certified else nothing_certified,
    )
    return [line for line in passed_by(plan, PROFILE) if line.startswith("s:")]


def test_of_closed_answers_a_decision_model_serves_what_is_certified_and_a_student_learns():
    assert said(CLOSED, certified=True) == []
    assert said(CLOSED) == [
        "s: decide answers nothing: d/m is a decision model: it serves nothing that is not certified"
    ]


def test_an_open_field_is_named_for_both():
    own, decide = said(OPEN)
    assert own == "s: own answers nothing: a student gives closed answers only; quote may hold anything"
    assert "quote may hold anything" in decide


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"after": ("first",)}, "it reads earlier steps"),
        ({"policy": Policy(start="cheap")}, "it is pinned to tier cheap"),
    ],
)
def test_what_keeps_a_student_away_is_said(step, why):
    assert any(why in line and "own answers nothing" in line for line in said(CLOSED, **step))
