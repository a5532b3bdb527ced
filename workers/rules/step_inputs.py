"""What a step's references stand for: the inputs of one subtask."""

import json
from collections.abc import Mapping

from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.plan import Step
from firstline.schemas.skill import InputField, Skill
from firstline.workers.rules.data_fence import as_text
from firstline.workers.rules.json_paths import MISSING, Absent, dig


class Unfit(Frozen):
    """The item cannot be answered as it is, and why; it fails alone."""

    reason: str


def inputs_of(step: Step, skill: Skill, item_input: JsonObject, settled: Mapping[str, Json]) -> JsonObject | Unfit:
    """Return the skill's inputs by field name, or why there are none.

    A field takes what its reference in `step.inputs` stands for, else the item's field of the same name. Optional
    fields that are absent are left out.
    """
    found: JsonObject = {}
    for name, field in skill.input.items():
        reference = step.inputs.get(name, f"item.{name}")
        value = resolve(reference, item_input, settled)
        if reason := _unfit(name, field, reference, value):
            return Unfit(reason=reason)
        if value is not MISSING and value is not None:
            found[name] = value
    return found


def resolve(reference: str, item_input: JsonObject, settled: Mapping[str, Json]) -> Json | Absent:
    """Return what a reference stands for, `MISSING` where it leads nowhere.

    `item` and `item.a.b` lead into the item, `step` and `step.a.b` into an earlier step's answer; `=5` is the literal
    5 (any JSON), `=five` the text "five".
    """
    if reference.startswith("="):
        return _literal(reference[1:])
    root, _, path = reference.partition(".")
    start = item_input if root == "item" else settled.get(root, MISSING)
    return start if start is MISSING or not path else dig(start, path)


def _literal(text: str) -> Json:
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError:
        return text


def _unfit(name: str, field: InputField, reference: str, value: Json | Absent) -> str | None:
    if value is MISSING or value is None or (isinstance(value, str) and not value.strip()):
        state = "missing" if value is MISSING else "empty"
        return f"required input '{name}' ({reference}) is {state}" if field.required else None
    size = len(as_text(value))
    if size > field.max_chars:
        return (
            f"input '{name}' ({reference}) has {size:,} characters, the skill takes at most {field.max_chars:,}; "
            "shorten it, split the item or raise max_chars"
        )
    return None
