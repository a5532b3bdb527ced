"""Which fields of an item a workflow reads."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from firstline.config.catalogue.references import ITEM, target
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import InputField, Skill


class FieldNeed(NamedTuple):
    """One field of an item that a step reads."""

    #: The field's name, or the path to it (`order.id`).
    path: str
    step: str
    field: InputField
    #: Every item needs it: it is required, by a step that every item comes to.
    always: bool


def needs(workflow: Workflow, skills: Mapping[str, Skill]) -> tuple[FieldNeed, ...]:
    """Return what a workflow's steps read of an item, in the order of the steps, each path once.

    What a tool is given is never among what every item needs: its own schema says what it can do without.
    """
    found: dict[str, FieldNeed] = {}
    for step in workflow.steps:
        for need in _read_by(step, skills.get(step.skill or "")):
            if need.path not in found or (need.always and not found[need.path].always):
                found[need.path] = need
    return tuple(found.values())


def item_fields(workflow: Workflow, skills: Mapping[str, Skill]) -> dict[str, InputField]:
    """Return the item's fields that a workflow's steps read, in the order of the steps."""
    found: dict[str, InputField] = {}
    for need in needs(workflow, skills):
        found.setdefault(need.path.partition(".")[0], need.field)
    return found


def _read_by(step: Step, skill: Skill | None) -> Iterator[FieldNeed]:
    fields = skill.input if skill and not step.is_barrier else {}
    for name, field in fields.items():
        if name not in step.inputs:
            yield FieldNeed(name, step.name, field, always=step.when is None and field.required)
    listed = target(step.for_each) if step.for_each else None
    if listed is not None and listed.name == ITEM and listed.field:
        yield FieldNeed(listed.field, step.name, InputField(description="a list"), always=step.when is None)
    for name, reference in step.inputs.items():
        pointed = target(reference)
        if pointed is not None and pointed.name == ITEM and pointed.field:
            known = fields.get(name)
            always = step.when is None and known is not None and known.required
            yield FieldNeed(pointed.field, step.name, known or InputField(), always=always)
