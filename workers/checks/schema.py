"""The first check of every answer: the skill's JSON Schema (draft 2020-12 unless it names another)."""

from firstline.config.json_schema.validator import SchemaFault, Validator
from firstline.schemas.base import Json
from firstline.schemas.skill import Skill
from firstline.workers.prompts.per_skill import PerSkill

#: More errors than these confuse a model more than they help.
_ERRORS = 5


def reason(skill: Skill, value: Json) -> str | None:
    """Say in a few words, with paths, where a value departs from the skill's output schema; None: nowhere."""
    misfits = _validator(skill).misfits(value, most=_ERRORS)
    return "; ".join(dict.fromkeys(map(str, misfits))) or None


@PerSkill
def _validator(skill: Skill) -> Validator:
    try:
        return Validator(skill.output)
    except SchemaFault as fault:
        raise ValueError(f"the output schema is not a JSON Schema: {fault}") from None
