"""Labels for a calibration: who was right, and when a cheap answer counts as a loss."""

import pytest

from firstline.orchestrator.quality.calibration.labels import (
    Answer,
    Pair,
    Truth,
    is_loss,
    main_signal,
    output_truth,
    refuse_contradictions,
    truth_of,
)
from firstline.schemas.comparator import Comparator
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, Quality, Step
from firstline.schemas.policy import Confidence, Policy
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_paths import MISSING

GOLD = Truth(quality=Quality(gold="gold"))


def sure(value: float, signal: str = "margin") -> Confidence:
    return Confidence(signal=signal, value=value)


def pair(cheap, frontier, gold=None, *, confidence=None, item_id="1", text="t") -> Pair:
    item = {"text": text} if gold is None else {"text": text, "gold": gold}
    return Pair(item_id, item, Answer(cheap, "small", confidence), Answer(frontier, "large"))


@pytest.mark.parametrize(
    ("truth", "one", "lost"),
    [
        pytest.param(Truth(), pair("a", "a"), False, id="they agree"),
        pytest.param(Truth(), pair("a", "b"), True, id="they differ, and the frontier counts as right"),
        pytest.param(Truth(), pair(MISSING, "b"), True, id="the cheap one gave no answer"),
        pytest.param(Truth(), pair("a", MISSING), None, id="the frontier gave no answer"),
        pytest.param(GOLD, pair("a", "b", "a"), False, id="only the cheap one is right"),
        pytest.param(GOLD, pair("a", "b", "b"), True, id="only the frontier is right"),
        pytest.param(GOLD, pair("a", "b", "c"), False, id="neither is right: nothing is lost"),
        pytest.param(GOLD, pair("a", MISSING, "c"), False, id="the frontier failed too"),
        pytest.param(GOLD, pair("a", "b"), None, id="the item carries no gold"),
    ],
)
def test_a_loss_is_what_the_frontier_would_have_got_right(truth, one, lost):
    assert is_loss(one, truth) is lost


def test_a_graded_score_is_lost_where_the_frontier_scores_more():
    truth = Truth(quality=Quality(gold="gold", compare="set_f1"), compare="set_f1")
    assert is_loss(pair(["a"], ["a", "b"], ["a", "b", "c"]), truth) is True
    assert is_loss(pair(["a"], ["b"], ["a", "b", "c"]), truth) is False


def test_the_main_signal_is_the_one_that_most_answers_have():
    answers = [Answer("a", confidence=sure(0.5, name)) for name in ("margin", "agreement", "agreement")]
    assert main_signal(answers) == "agreement"
    assert main_signal([Answer("a")]) is None


def test_equal_items_with_different_gold_are_refused_by_name():
    items = [("x", {"text": "t", "gold": "a"}), ("y", {"text": "t", "gold": "b"})]
    with pytest.raises(UserError, match="items x and y are the same but carry different `gold`"):
        refuse_contradictions(items, GOLD.quality)


@pytest.mark.parametrize(
    ("output", "field", "expected"),
    [
        pytest.param("sort", None, (True, None), id="the output is the step's answer"),
        pytest.param("sort", "label", (True, "label"), id="a field of it"),
        pytest.param("reply", "label", (False, None), id="the output is another step's"),
        pytest.param({"kind": "sort.label"}, "kind", (True, "label"), id="a field made of the step's"),
        pytest.param({"kind": "sort"}, "kind.label", (True, "label"), id="a field within the step's answer"),
        pytest.param({"kind": "reply.kind"}, "kind", (False, None), id="a field made of another step's"),
        pytest.param({"kind": "sort.label"}, None, (False, None), id="the whole of an output made of several"),
    ],
)
def test_a_step_is_measured_by_gold_only_where_the_output_is_its_answer(output, field, expected):
    found = truth_of(Quality(gold="gold", field=field), "sort", output=output, folders=())
    assert (found.quality is not None, found.field) == expected


PROSE = {"label": Comparator(by="exact"), "text": Comparator(by="judge")}


def test_without_a_comparator_nothing_is_lost_and_nothing_is_kept():
    silent = Truth(fields={"text": None})
    assert is_loss(pair({"text": "a"}, {"text": "b"}), silent) is None
    assert (silent.tells_nothing, silent.uncompared) == (True, ["text"])


def test_what_a_judge_has_to_tell_is_open_until_it_was_asked():
    truth = Truth(fields=PROSE)
    asked = pair({"label": "x", "text": "a"}, {"label": "x", "text": "b"})
    assert is_loss(asked, truth) is None
    question = truth.open_question(asked.cheap.value, asked.frontier.value)
    truth.judged[question.key] = True
    assert is_loss(asked, truth) is False
    assert truth.open_question(asked.cheap.value, asked.frontier.value) is None
    assert is_loss(pair({"label": "x", "text": "a"}, {"label": "y", "text": "b"}), truth) is True, (
        "settled by the label"
    )


def test_a_workflows_output_is_compared_as_the_fields_that_it_is_made_of():
    skill = Skill.model_validate(
        {
            "name": "s",
            "instructions": "-",
            "input": {"text": {}},
            "output": {"type": "object", "properties": {"label": {"enum": ["a"]}, "reply": {"type": "string"}}},
            "compare": {"reply": "judge"},
        }
    )
    step = PlannedStep(step=Step(name="one", skill="s"), segment=0, start_tier="cheap", policy=Policy())
    whole = Plan(workflow="w", steps=(step,), skills={"s": skill}, output="one")
    parts = whole.evolve(output={"said": "one.reply", "id": "item.id", "all": "one"})
    assert {at: by.by for at, by in output_truth(whole, folders=()).fields.items()} == {
        "label": "exact",
        "reply": "judge",
    }
    assert {at: by.by for at, by in output_truth(parts, folders=()).fields.items()} == {
        "said": "judge",
        "id": "exact",
        "all.label": "exact",
        "all.reply": "judge",
    }
