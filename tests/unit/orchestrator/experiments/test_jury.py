"""A judge within an experiment: each pair of texts is asked once, in both orders, and counts wherever it is weighed."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.orchestrator.experiments import jury as jury_module
from firstline.orchestrator.experiments.calibrate import refused_steps
from firstline.orchestrator.experiments.compare import laid_out
from firstline.orchestrator.experiments.comparison import CallRecord, Run
from firstline.orchestrator.experiments.evaluation import evaluation
from firstline.orchestrator.experiments.jury import Jury, refuse_unmeasured
from firstline.orchestrator.quality.calibration.labels import Truth, refuse_uncompared
from firstline.orchestrator.quality.judge.asking import KnownJudge
from firstline.orchestrator.quality.judge.error import UNMEASURED, JudgeError
from firstline.orchestrator.run.runner import Crew
from firstline.schemas.comparator import Comparator
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.plan import Plan, PlannedStep, Step
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier

SKILL = Skill.model_validate(
    {
        "name": "reply",
        "instructions": "Reply.",
        "input": {"text": {}},
        "output": {"type": "object", "properties": {"reply": {"type": "string"}, "why": {"type": "string"}}},
        "compare": {"reply": "judge"},
    }
)
PROFILE = Profile(
    name="p",
    tiers=(Tier(name="cheap", models=(Model(name="a/small"),)), Tier(name="top", models=(Model(name="a/large"),))),
)
KNOWN = JudgeError(same=100, alarms=5, different=100, missed=5)
FIELDS = {"reply": Comparator(by="judge"), "why": None}


@dataclass
class Bench:
    """Stands for trials: a judge that calls two replies the same where their first letters are."""

    crew: Crew = field(default_factory=lambda: Crew(PROFILE))
    spent_usd: float = 0.0
    asked: list = field(default_factory=list)

    def run(self, workflow, items, *, tier, title=""):
        self.asked += items
        self.spent_usd += 0.1
        return tier


@pytest.fixture
def bench(monkeypatch) -> Bench:
    made = Bench()

    def results(job: str) -> list:
        found = []
        for item in made.asked:
            said = {"same": item.input["one"]["reply"][0] == item.input["other"]["reply"][0], "difference": "-"}
            torn = item.input["one"]["reply"].startswith("torn")
            settled = not item.input["one"]["reply"].startswith("broken")
            status = ItemState.SETTLED if settled else ItemState.FAILED
            found.append(
                SimpleNamespace(item_id=item.item_id, status=status, output=said | ({"same": False} if torn else {}))
            )
        return found

    monkeypatch.setattr(jury_module, "replace", lambda one, **changes: one if one is made else replace(one, **changes))
    monkeypatch.setattr(jury_module.api, "results", results)
    return made


def jury(bench: Bench) -> Jury:
    return Jury(bench, SKILL, KnownJudge("a/large", KNOWN))  # type: ignore[arg-type]


def agreement(truth: Truth, one: str, other: str) -> float | None:
    return truth.agreement({"reply": one}, {"reply": other})


def test_each_pair_of_texts_is_asked_once_in_both_orders_and_a_disagreement_of_orders_is_not_the_same(bench):
    truth = Truth(fields=FIELDS)
    pairs = [("yes", "yea"), ("yea", "yes"), ("yes", "no"), ("torn", "true"), ("broken", "big"), ("Yes ", "yes")]
    jury(bench).settle(truth, [({"text": "t"}, {"reply": one}, {"reply": other}) for one, other in pairs])
    assert len(bench.asked) == 2 * 4, "the turned pair and the equal texts are not asked again"
    assert [agreement(truth, *pair) for pair in pairs] == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert {tuple(item.input) for item in bench.asked} == {("task", "asked", "one", "other")}
    jury(bench).settle(truth, [({"text": "t"}, {"reply": "yes"}, {"reply": "no"})])
    assert len(bench.asked) == 8


def run(model: str, *replies: str) -> Run:
    outputs = {str(n): {"reply": text, "why": model} for n, text in enumerate(replies)}
    calls = [CallRecord("s", 1.0, 1.0 if model == "a/large" else 0.1, None)] * len(replies)
    return Run(model, model, outputs, answers={"s": outputs}, calls=calls)


def compared(bench: Bench, judged, settle):
    step = PlannedStep(step=Step(name="s", skill="reply"), segment=0, start_tier="cheap", policy=Policy())
    plan = Plan(workflow="w", steps=(step,), skills={"reply": SKILL}, output="s")
    runs = [run("a/small", "yes", "yea", "no"), run("a/large", "yep", "yup", "yow")]
    return laid_out(runs, {str(n): {"text": "t"} for n in range(3)}, plan=plan, judged=judged, settle=settle)


def test_models_are_compared_by_what_the_judge_says_and_its_error_widens_the_interval(bench):
    found = compared(
        bench,
        lambda skill, truth: replace(truth, error=KNOWN),
        lambda skill, truth, asked: jury(bench).settle(truth, asked),
    )
    small = found.candidates[0].agreement
    assert (small.right, small.of, found.silent, found.judge_is_measured) == (2, 3, ("why",), True)
    assert len(bench.asked) == 2 * 3, "step and output are the same texts"
    assert (found.start[0].share.right, found.start[0].share.of) == (2, 3)


def test_without_a_judge_that_is_asked_prose_is_neither_the_same_nor_not(bench):
    found = compared(bench, lambda skill, truth: truth, lambda skill, truth, asked: None)
    assert (found.candidates[0].agreement, found.judge_is_measured) == (None, False)


def test_a_better_prompt_is_better_by_the_word_of_a_judge_only_if_its_error_is_known():
    pairs = [(False, True)] * 20 + [(True, True)] * 20
    ask = {"failed_share": 0.0, "model": "small", "against": "the top model"}
    assert evaluation([], pairs, Truth(fields=FIELDS, error=KNOWN), **ask).said.startswith("better")
    assert evaluation([], pairs, Truth(fields=FIELDS, error=UNMEASURED), **ask).said.startswith("no clear difference")


def test_nothing_is_certified_on_nobodys_word():
    with pytest.raises(UserError, match="nobody has measured how often it is wrong"):
        refuse_unmeasured(Truth(fields=FIELDS), SKILL)
    refuse_unmeasured(Truth(fields=FIELDS, error=KNOWN), SKILL)
    with pytest.raises(UserError, match="nobody compares two answers of skill 'reply': reply"):
        refuse_uncompared(Truth(fields={"reply": None}), SKILL)


def test_a_step_whose_prose_nobody_compares_keeps_no_other_step_from_its_calibration():
    sure = {"confidence": [{"kind": "mean_logprob"}]}
    prose = Skill.model_validate(SKILL.model_dump() | sure | {"name": "prose", "compare": {}})
    closed = Skill.model_validate(
        SKILL.model_dump() | sure | {"name": "closed", "compare": {}, "output": {"enum": ["a", "b"]}}
    )
    steps = [
        PlannedStep(step=Step(name=name, skill=name), segment=0, start_tier="cheap", policy=Policy())
        for name in ("prose", "closed")
    ]
    plan = Plan(workflow="w", steps=tuple(steps), skills={"prose": prose, "closed": closed}, output="prose")
    truths = {one.name: Truth(fields=comparators_of(one)) for one in (prose, closed)}
    assert list(refused_steps(plan, truths)) == ["prose"]
    with pytest.raises(UserError, match="nobody compares two answers of skill 'prose'"):
        refused_steps(plan, {"prose": truths["prose"]})
