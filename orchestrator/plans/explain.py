"""Where each word of a step's policy comes from, and from which confidence on its answers are accepted."""

from collections.abc import Iterator

from firstline.schemas.base import Frozen, Json
from firstline.schemas.plan import Plan, PlannedStep
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill


class Word(Frozen):
    """One field of a step's policy."""

    step: str
    field: str
    value: Json
    #: step, skill or default
    said_by: str


class Bar(Frozen):
    """What a model's answer must reach on a tier to be accepted for a step."""

    step: str
    tier: str
    model: str
    #: None: none of its answers is accepted.
    value: float | None
    why: str


def words_of(plan: Plan) -> list[Word]:
    """Return the policies of a plan's steps, field by field."""
    return [word for planned in plan.steps for word in _words(planned, plan.skills.get(planned.step.skill or ""))]


def _words(planned: PlannedStep, skill: Skill | None) -> Iterator[Word]:
    step = planned.step
    said = {"step": step.policy or Policy(), "skill": skill.policy if skill else Policy()}
    for field, value in dict(planned.policy).items():
        owner = next((name for name, policy in said.items() if field in policy.model_fields_set), "default")
        yield Word(step=step.name, field=field, value=value, said_by=owner)


def bars_of(plan: Plan) -> list[Bar]:
    """Return from which confidence on answers are accepted, tier by tier and model by model."""
    return [
        Bar(
            step=planned.step.name,
            tier=tier,
            model=model,
            value=one.value,
            why=one.why or f"{one.source}, by {one.signal or 'any signal'}",
        )
        for planned in plan.steps
        for tier, models in planned.thresholds.items()
        for model, one in models.items()
    ]
