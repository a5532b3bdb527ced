"""Which fields of an item a workflow reads."""

from collections.abc import Iterator, Mapping

from firstline.config.catalogue.references import ITEM, target
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import InputField, Skill


def item_fields(workflow: Workflow, skills: Mapping[str, Skill]) -> dict[str, InputField]:
    """Return the item's fields that a workflow's steps read, in the order of the steps."""
    found: dict[str, InputField] = {}
    for step in workflow.steps:
        for name, field in _read_by(step, skills.get(step.skill or "")):
            found.setdefault(name, field)
    return found


def _read_by(step: Step, skill: Skill | None) -> Iterator[tuple[str, InputField]]:
    fields = skill.input if skill and step.scope == "item" else {}
    for name, field in fields.items():
        if name not in step.inputs:
            yield name, field
    for name, reference in step.inputs.items():
        pointed = target(reference)
        if pointed is not None and pointed.name == ITEM and pointed.field:
            yield pointed.field.partition(".")[0], fields.get(name, InputField())
