"""A judge asked within an experiment: what it says of prose goes into the truth that answers are weighed by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from firstline.orchestrator import api
from firstline.orchestrator.experiments.trials import Trials
from firstline.orchestrator.quality.calibration.labels import Truth, refuse_uncompared
from firstline.orchestrator.quality.judge.asking import KnownJudge, error_of
from firstline.orchestrator.quality.judge.questions import Question, items, judge_profile, verdict, workflow
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.skill import Skill
from firstline.workers.rules.json_paths import MISSING, Absent

#: What a skill was given, and two answers to it.
AnswerPair = tuple[JsonObject, Json | Absent, Json | Absent]


@dataclass(frozen=True)
class Jury:
    """The judge of one skill's answers, under the budget of an experiment."""

    trials: Trials
    skill: Skill
    judge: KnownJudge

    def settle(self, truth: Truth, asked: Iterable[AnswerPair]) -> None:
        """Have the judge asked what only it can tell of pairs of answers, each pair of texts once."""
        questions: dict[str, Question] = {}
        for inputs, one, other in asked:
            if found := truth.open_question(one, other):
                questions.setdefault(found.key, Question(found.key, inputs, found))
        if questions:
            truth.judged.update(self.hear(list(questions.values())))

    def hear(self, questions: Sequence[Question]) -> dict[str, bool]:
        """Return by key which answers the judge calls the same, in both orders."""
        crew = self.trials.crew
        alone = replace(self.trials, crew=replace(crew, profile=judge_profile(crew.profile, self.judge.model)))
        asked = list(items(self.skill, questions))
        job = alone.run(workflow(), asked, tier=alone.crew.profile.ladder[0].name, title=f"{self.judge.model} judges: ")
        self.trials.spent_usd = alone.spent_usd
        said = {
            result.item_id: result.output if result.status is ItemState.SETTLED else MISSING
            for result in api.results(job)
        }
        return {question.key: verdict(question.key, said) is True for question in questions}


def known_judge(order: Order, skill: Skill) -> KnownJudge:
    """Return who judges a skill's answers under an order's profile, and how often it is known to be wrong."""
    with api.engine().db.reading() as tx:
        return error_of(tx, order.profile, skill, tenant=order.request.options.tenant)


def judged(order: Order, skill: Skill, truth: Truth) -> Truth:
    """Return what is right with what is known of its judge, where one is asked."""
    return replace(truth, error=known_judge(order, skill).error) if truth.has_judge else truth


def untold(steps: Iterable[tuple[str, Skill, Truth]]) -> dict[str, str]:
    """Return why nobody can tell the answers of some steps right: nothing compares them, or a judge nobody measured."""
    reasons = {}
    for name, skill, truth in steps:
        try:
            refuse_uncompared(truth, skill)
            refuse_unmeasured(truth, skill)
        except UserError as error:
            reasons[name] = str(error)
    return reasons


def refuse_unmeasured(truth: Truth, skill: Skill) -> None:
    """Raise a UserError before anything is paid where nothing could be certified on a judge's word."""
    if truth.has_judge and not truth.error.is_measured:
        raise UserError(
            f"prose of skill '{skill.name}' is compared by a judge, and nobody has measured how often it is wrong, so "
            "that nothing can be certified on its word; label pairs of answers and measure it: `firstline judge "
            f"{skill.name} --pairs FILE` (`--draw N --out FILE` writes pairs from audits to be labelled)"
        )
