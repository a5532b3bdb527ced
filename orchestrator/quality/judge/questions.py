"""What a judge is asked of two answers, in both orders, and what follows from its words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator.plans.single_tier import one_step
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparator import Judge
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, TierKind
from firstline.workers.rules.json_paths import Absent
from firstline.workers.rules.likeness import Likeness

JUDGE = "judge"
_ORDERS = ("a", "b")


@dataclass(frozen=True)
class Question:
    """Two answers whose prose is to be compared."""

    key: str
    #: What the skill was given.
    inputs: JsonObject
    likeness: Likeness


def workflow() -> Workflow:
    """Return the workflow that asks a judge."""
    return one_step(JUDGE, load_catalogue().skill(JUDGE), {})


def items(skill: Skill, questions: Iterable[Question]) -> Iterator[InputItem]:
    """Yield two items for each question, the answers in either order; nothing tells who gave which."""
    for question in questions:
        pair = (question.likeness.one, question.likeness.other)
        for order, (one, other) in zip(_ORDERS, (pair, pair[::-1]), strict=True):
            asked: JsonObject = {"task": skill.instructions, "asked": question.inputs, "one": one, "other": other}
            rubric: JsonObject = {"rubric": skill.judge.rubric} if skill.judge.rubric else {}
            yield InputItem(f"{question.key}/{order}", {**asked, **rubric})


def verdict(key: str, said: Mapping[str, Json | Absent]) -> bool | None:
    """Return whether a judge calls two answers the same: in both orders, or it does not.

    `said` holds its outputs by item, `MISSING` where it had none to give; None while an order has not come to its end.
    """
    words = [said.get(f"{key}/{order}") for order in _ORDERS]
    if any(word is None for word in words):
        return None
    return all(isinstance(word, dict) and word.get("same") is True for word in words)


def judge_model(profile: Profile, judge: Judge) -> Model:
    """Return the model that judges: the one named, a tier's first, the top tier's first; UserError: no such one."""
    if judge.model is None:
        return profile.ladder[-1].models[0]
    for tier in profile.ladder:
        if judge.model == tier.name:
            return tier.models[0]
        for model in tier.models:
            if judge.model in (model.name, model.name.rpartition("/")[2]):
                return model
    known = ", ".join([*(tier.name for tier in profile.ladder), *(model.name for model in profile.models)])
    raise UserError(f"judge: profile '{profile.name}' has no tier or model '{judge.model}'; it has {known}")


def judge_profile(profile: Profile, model: str) -> Profile:
    """Return a profile with nothing but the judge's model, on the queue of its tier; UserError where it has none."""
    for tier in profile.ladder:
        for one in tier.models:
            if one.name == model:
                alone = tier.evolve(name=tier.name, queue=tier.queue, models=(one,), kind=TierKind.MODEL)
                return profile.evolve(tiers=(alone,), orchestrator=None)
    raise UserError(f"the judge {model} is none of the models that are asked here; name it among them")
