"""What a plain function puts right in an answer, before it is checked: a tag given twice, words from nowhere."""

from copy import deepcopy
from pathlib import Path

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.check import CheckResult
from firstline.schemas.skill import Skill
from firstline.workers.checks import schema
from firstline.workers.rules.json_text import as_json
from firstline.workers.rules.user_functions import Broken, call


def repair(
    skill: Skill, value: Json, *, item: JsonObject, folders: tuple[Path, ...] = ()
) -> tuple[Json, tuple[CheckResult, ...]]:
    """Return an answer as the skill's `repair` leaves it, and a failed check where that function broke.

    Only an answer of the asked form is repaired: what has another one is told so to the model. Never raises.
    """
    if skill.repair is None or schema.reason(skill, value) is not None:
        return value, ()
    match call(skill.repair, deepcopy(value), item, folders=folders):
        case Broken(reason):
            return value, (CheckResult(check="repair", reason=reason),)
        case returned:
            try:
                return as_json(returned.value), ()
            except ValueError as error:
                return value, (CheckResult(check="repair", reason=f"{skill.repair}: {error}"),)
