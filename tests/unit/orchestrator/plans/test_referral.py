"""What is done about a subtask that nobody could answer."""

import pytest

from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.plans.referral import carry_out, planned_of
from firstline.schemas.plan import Plan, PlannedStep, Step
from firstline.schemas.policy import LastResort, Policy

POLICY = Policy(last_resort=LastResort.REFER, refer_rounds=2)
PLAN = Plan(
    workflow="w",
    steps=(PlannedStep(step=Step(name="sort", skill="sort"), segment=0, start_tier="cheap", policy=POLICY),),
    output="sort",
    refer=PlannedStep(step=Step(name="refer__", skill="refer"), segment=0, start_tier="frontier"),
)
LADDER = ("cheap", "frontier")
REFERRED = Sub("sort", "frontier", state="referred", n=4, used=2, reason="failed schema", feedback=("lacks label",))


def settled(value, *, name="sort__refer0"):
    return Sub(name, "frontier", state="settled", n=1, value=value)


def after(*subs):
    found, decided = carry_out({sub.step: sub for sub in subs}, plan=PLAN, ladder=LADDER)
    return found, [one.choice for one in decided]


def test_the_orchestrator_model_is_asked_once():
    found, decided = after(REFERRED)
    assert (found["sort__refer0"].state, found["sort__refer0"].tier, decided) == ("open", "frontier", [])
    again, _ = after(REFERRED, found["sort__refer0"]._replace(batch="b"))
    assert again["sort__refer0"].batch == "b"


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        pytest.param(
            {"decision": "revise", "reason": "r", "instruction": "Look twice."},
            {"state": "open", "tier": "frontier", "instruction": "Look twice.", "used": 0, "referrals": 1, "n": 4},
            id="revise",
        ),
        pytest.param(
            {"decision": "tier", "reason": "r", "tier": "cheap"},
            {"state": "open", "tier": "cheap", "referrals": 1},
            id="tier",
        ),
        pytest.param({"decision": "tier", "reason": "r", "tier": "moon"}, {"state": "failed"}, id="no such tier"),
        pytest.param(
            {"decision": "person", "reason": "unclear"}, {"state": "review", "reason": "unclear"}, id="person"
        ),
        pytest.param(
            {"decision": "give_up", "reason": "no date"}, {"state": "failed", "reason": "no date"}, id="give up"
        ),
        pytest.param({"decision": "split", "reason": "r", "parts": ["one"]}, {"state": "failed"}, id="one part"),
        pytest.param({"decision": "dance", "reason": "r"}, {"state": "failed"}, id="no decision"),
        pytest.param("text", {"state": "failed"}, id="no object"),
    ],
)
def test_a_decision_is_carried_out(said, changes):
    found, decided = after(REFERRED, settled(said))
    sub = found["sort"]
    assert {name: getattr(sub, name) for name in changes} == changes
    assert decided in ([], [said["decision"]] if isinstance(said, dict) else [])


def test_a_split_subtask_is_answered_in_parts_and_then_once_more():
    said = settled({"decision": "split", "reason": "long", "parts": ["first half", "second half"]})
    found, decided = after(REFERRED, said)
    parts = [found["sort__part0_0"], found["sort__part0_1"]]
    assert [(part.tier, part.instruction) for part in parts] == [("cheap", "first half"), ("cheap", "second half")]
    assert (found["sort"].state, decided) == ("referred", ["split"])

    half = [parts[0]._replace(state="settled", value={"label": "a"}), parts[1]]
    assert after(REFERRED, said, *half)[0]["sort"].state == "referred"

    both = [half[0], parts[1]._replace(state="settled", value={"label": "b"})]
    whole, again = after(REFERRED, said, *both)
    assert (whole["sort"].state, again) == ("open", [])
    assert '[{"label": "a"}, {"label": "b"}]' in whole["sort"].instruction

    one_failed = [half[0], parts[1]._replace(state="failed", reason="cut off")]
    assert after(REFERRED, said, *one_failed)[0]["sort"].state == "failed"


def test_what_is_referred_too_often_fails_and_says_so():
    found, _ = after(REFERRED._replace(referrals=2))
    assert found["sort"].state == "failed"
    assert found["sort"].reason == "failed schema; the orchestrator model was asked 2 of 2 times"


def test_a_referral_that_nobody_answers_fails_its_subtask():
    found, _ = after(REFERRED, Sub("sort__refer0", "frontier", state="failed"))
    assert "gave no usable answer" in found["sort"].reason


def test_a_question_about_what_is_tried_again_meanwhile_is_dropped():
    found, _ = after(REFERRED._replace(state="open"), Sub("sort__refer0", "frontier", batch="b"))
    assert found["sort__refer0"].state == "skipped"


def test_a_part_never_refers_again():
    assert planned_of(PLAN, "sort__part0_1").policy.last_resort is LastResort.REJECT
    assert planned_of(PLAN, "sort__refer0").step.skill == "refer"
