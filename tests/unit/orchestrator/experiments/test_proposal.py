"""A proposed prompt: what the improver is told, what becomes of its word, and how both versions are measured."""

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator.experiments.evaluation import evaluation, rights, verdict
from firstline.orchestrator.experiments.improve import IMPROVER
from firstline.orchestrator.experiments.proposal import Right, brief, revised
from firstline.orchestrator.quality.calibration.labels import Truth
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Quality
from firstline.schemas.skill import Example, Skill
from firstline.workers.checks import run_checks
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from tests.unit.orchestrator.reports.test_causes import failure

SKILL = Skill(
    name="sort",
    instructions="Sort it.",
    input={"text": {}},
    output={"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]},
    examples=(Example(input={"text": "old"}, output={"label": "a"}),),
)
RIGHTS = [Right({"text": "one"}, {"label": "b"}), Right({"text": "two"}, {"label": "a"})]


def said(**changes):
    return {
        "diagnosis": "The rule was vague, now it is not.",
        "instructions": "Sort it well.",
        "examples": [],
        **changes,
    }


def test_the_improver_takes_what_it_is_told_and_its_own_examples_pass_its_checks():
    improver = load_catalogue(()).skill(IMPROVER)
    told = brief(SKILL, [failure("too long", settled={"label": "a"}, settled_by="frontier")], RIGHTS)
    step = type("Step", (), {"inputs": {}})()
    assert not isinstance(inputs_of(step, improver, told, {}), Unfit)
    for example in improver.examples:
        assert all(check.passed for check in run_checks(improver, example.output, item=example.input))


def test_the_brief_names_causes_samples_right_answers_and_candidates_by_number():
    told = brief(SKILL, [failure("got 12", settled={"label": "a"}, settled_by="frontier"), failure("got 7")], RIGHTS)
    assert "2 times, regex: got <number>" in told["causes"]
    assert 'right, by frontier: {"label": "a"}' in told["causes"]
    assert "rules" not in told
    ruled = brief(SKILL, [], RIGHTS, ["Mark only the number."])
    assert (ruled["causes"], ruled["rules"]) == ("none on record", '- "Mark only the number."')
    assert told["candidates"].splitlines()[1] == '2. {"text": "two"} -> {"label": "a"}'


def test_the_new_version_has_the_new_instructions_and_the_chosen_examples_once():
    new = revised(SKILL, said(examples=[2, 2, 9]), RIGHTS, version=4)
    assert (new.version, new.instructions) == (4, "Sort it well.")
    assert [one.input["text"] for one in new.examples] == ["old", "two"]
    assert new.digest != SKILL.digest


@pytest.mark.parametrize(
    ("proposal", "candidates", "words"),
    [
        pytest.param(said(instructions="Sort it."), RIGHTS, "nothing to change in the prompt", id="nothing new"),
        pytest.param(
            said(examples=[1]), [Right({"text": "x"}, {"label": "z"})], "not usable: examples", id="off schema"
        ),
    ],
)
def test_what_cannot_be_used_is_a_sentence(proposal, candidates, words):
    with pytest.raises(UserError, match=words):
        revised(SKILL, proposal, candidates, version=2)


def test_versions_are_measured_on_the_items_that_can_be_told_a_failed_answer_is_wrong():
    items = [InputItem(str(n), {"gold": gold}) for n, gold in enumerate(["a", "a", None])]
    old, new = {"0": "a", "1": "b", "2": "a"}, {"0": MISSING, "1": "a", "2": "a"}
    pairs = rights(items, Truth(quality=Quality(gold="gold")), old, new, {})
    assert pairs == [(True, False), (False, True)]
    assert rights(items[:1], Truth(), old, new, {"0": "a"}) == [(True, False)]


@pytest.mark.parametrize(
    ("pairs", "word"),
    [
        pytest.param([(False, True)] * 20 + [(True, True)] * 20, "better: +50.0 points", id="better"),
        pytest.param([(True, False)] * 20 + [(True, True)] * 20, "worse: -50.0 points", id="worse"),
        pytest.param([(True, True)] * 9 + [(False, True)], "no clear difference: +10.0 points", id="not clear"),
    ],
)
def test_the_verdict_follows_the_interval_of_the_difference(pairs, word):
    found = evaluation([], pairs, Truth(), failed_share=0.0, model="small", against="gold")
    assert found.said.startswith(word)
    assert found.said == verdict(found.difference)
    assert found.old.of == found.new.of == len(pairs)


def test_nothing_to_measure_is_a_sentence():
    with pytest.raises(UserError, match="none of the held-out items could be scored"):
        evaluation([], [], Truth(), failed_share=0.0, model="small", against="gold")
