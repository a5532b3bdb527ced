"""What is wrong with a workflow beyond the form of its fields: dangling names, wrong fields, circles."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from firstline.config.catalogue.condition_flaws import condition_flaws, schema_at
from firstline.config.catalogue.references import ITEM, ITEMS, Target, condition_targets, dependencies, target
from firstline.config.catalogue.schema_fields import field_flaw
from firstline.config.catalogue.tool_inputs import input_flaws
from firstline.config.errors.error_messages import Flaw, Location, listed, suggestion
from firstline.schemas.plan import EACH, Step, StepKind, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tool import ToolSpec


@dataclass(frozen=True, slots=True)
class Names:
    """What a workflow may name; `skill` and `tool` say why a name will not do, or None."""

    skills: Mapping[str, Skill]
    skill: Callable[[str], str | None]
    tool: Callable[[str], str | None]
    #: Tools whose arguments are known, by name.
    tools: Mapping[str, ToolSpec] = dataclasses.field(default_factory=dict)


def workflow_flaws(workflow: Workflow, names: Names) -> list[Flaw]:
    """Return the flaws of a workflow, declared by a person or written by a planner model."""
    return list(_Checker(workflow, names).flaws())


class _Checker:
    def __init__(self, workflow: Workflow, names: Names) -> None:
        self.workflow = workflow
        self.names = names
        self.steps = {step.name: step for step in workflow.steps}

    def flaws(self) -> Iterator[Flaw]:
        yield from self._doubled()
        for number, step in enumerate(self.workflow.steps):
            yield from self._step(step, ("steps", number))
        yield from self._output()
        yield from self._circle()

    def _doubled(self) -> Iterator[Flaw]:
        first: dict[str, int] = {}
        for number, step in enumerate(self.workflow.steps):
            if step.name in first:
                yield Flaw(("steps", number, "name"), f"two steps are called '{step.name}'; rename one")
            if step.name in (ITEM, ITEMS, EACH):
                means = "an element" if step.name == EACH else "the input"
                yield Flaw(("steps", number, "name"), f"'{step.name}' always means {means}; rename the step")
            first.setdefault(step.name, number)

    def _step(self, step: Step, at: Location) -> Iterator[Flaw]:
        yield from self._worker(step, at)
        for number, name in enumerate(step.after):
            if name not in self.steps:
                yield Flaw((*at, "after", number), self._no_step(name))
        if step.reviews is not None and step.reviews not in self.steps:
            yield Flaw((*at, "reviews"), self._no_step(step.reviews))
        if step.every is not None and step.kind is not StepKind.CHECKPOINT:
            yield Flaw((*at, "every"), f"only a checkpoint looks while a step goes on; this is of kind {step.kind}")
        for field, reference in step.inputs.items():
            pointed = target(reference)
            if step.for_each is not None and pointed is not None and pointed.name == EACH:
                yield from self._of_element(step.for_each, pointed, (*at, "inputs", field))
            else:
                yield from self._reference(reference, (*at, "inputs", field))
        yield from self._list(step, at)
        yield from self._inputs(step, at)
        yield from self._condition(step, (*at, "when"))

    def _list(self, step: Step, at: Location) -> Iterator[Flaw]:
        """Yield what is wrong with the list that a step is asked about, and with what looks at a step's list."""
        reviewed = self.steps.get(step.reviews or "")
        if reviewed is not None and reviewed.for_each is not None:
            text = f"step '{reviewed.name}' is asked about each element of a list, and no checkpoint can review that"
            yield Flaw((*at, "reviews"), f"{text}; review what makes the list, or what is made of the answers")
        if step.for_each is None:
            return
        where = (*at, "for_each")
        if step.is_barrier or step.kind not in (StepKind.SKILL, StepKind.TOOL):
            yield Flaw(where, "only steps of kind `skill` or `tool` that see one item go over a list; leave it out")
        pointed = target(step.for_each)
        if pointed is None or pointed.name == ITEMS or (pointed.name == ITEM and not pointed.field):
            yield Flaw(where, f"expected a list of an item or of an earlier step's answer, got `{step.for_each}`")
            return
        yield from self._target(pointed, where)
        found = self._field(pointed)
        if found is not None and isinstance(kind := found.get("type"), str) and kind != "array":
            yield Flaw(where, f"expected a list, `{step.for_each}` is of type `{kind}`")

    def _of_element(self, listed: str, pointed: Target, at: Location) -> Iterator[Flaw]:
        """Yield what is wrong with a reference to an element, as far as the schema of its list says."""
        found = self._field(of_list) if (of_list := target(listed)) is not None else None
        schema = found.get("items") if found is not None else None
        if pointed.field and isinstance(schema, dict):
            wrong = field_flaw(schema, pointed.field, owner=f"an element of `{listed}`")
            if wrong:
                yield Flaw(at, wrong)

    def _worker(self, step: Step, at: Location) -> Iterator[Flaw]:
        if step.skill is None and step.kind.names_a_skill:
            yield Flaw(at, f"step '{step.name}' of kind `{step.kind}` names no skill; add `skill:`")
        if step.tool is None and step.kind is StepKind.TOOL:
            yield Flaw(at, f"step '{step.name}' of kind `tool` names no tool; add `tool:`")
        if step.tool is not None and step.kind is not StepKind.TOOL:
            yield Flaw((*at, "tool"), f"only a step of kind `tool` has one; this one is of kind `{step.kind}`")
        for field, name, wrong in (("skill", step.skill, self.names.skill), ("tool", step.tool, self.names.tool)):
            problem = wrong(name) if name else None
            if problem:
                yield Flaw((*at, field), problem)

    def _inputs(self, step: Step, at: Location) -> Iterator[Flaw]:
        skill = self._skill(step)
        for field in step.inputs if skill else ():
            if skill and field not in skill.input:
                hint = suggestion(field, skill.input) or f"; it has {listed(skill.input)}"
                yield Flaw((*at, "inputs", field), f"skill '{skill.name}' has no input field '{field}'{hint}")
        tool = self.names.tools.get(step.tool or "")
        for name, text in input_flaws(step, tool, self._field) if tool else ():
            yield Flaw((*at, "inputs", name), text)

    def _condition(self, step: Step, at: Location) -> Iterator[Flaw]:
        try:
            found = condition_targets(step.when) if step.when else ()
        except (SyntaxError, ValueError, RecursionError):
            yield Flaw(at, f"expected a condition such as `classify.label == 'simple'`, got '{step.when}'")
            return
        for pointed in found:
            yield from self._target(pointed, at)
        for text in condition_flaws(step.when, self._field) if step.when else ():
            yield Flaw(at, text)

    def _field(self, pointed: Target) -> Mapping[str, Any] | None:
        """Return the JSON Schema of what a name points at; None where nobody can tell."""
        step = self.steps.get(pointed.name)
        skill = self._skill(step) if step else None
        if step is None or skill is None:
            return None
        if step.for_each is not None:
            listed: Mapping[str, Any] = {"type": "array", "items": skill.output}
            return schema_at(listed, pointed.field)
        labels = step.options.get("labels")
        if step.kind is StepKind.ROUTE and isinstance(labels, list) and step.options.get("field") == pointed.field:
            return {"enum": labels}
        return schema_at(skill.output, pointed.field)

    def _output(self) -> Iterator[Flaw]:
        match self.workflow.output:
            case str() as name:
                if name not in self.steps:
                    yield Flaw(("output",), self._no_step(name))
            case dict() as fields:
                for field, reference in fields.items():
                    yield from self._reference(reference, ("output", field))

    def _reference(self, reference: str, at: Location) -> Iterator[Flaw]:
        pointed = target(reference)
        if pointed is not None:
            yield from self._target(pointed, at)

    def _target(self, pointed: Target, at: Location) -> Iterator[Flaw]:
        if pointed.name in (ITEM, ITEMS):
            return
        if pointed.name == EACH:
            yield Flaw(at, "`each` is an element of the list that a step's `for_each` names, in its `inputs` alone")
            return
        if pointed.name not in self.steps:
            yield Flaw(at, f"{self._no_step(pointed.name)}; the input is `item`, a literal begins with =")
            return
        skill = self._skill(self.steps[pointed.name])
        wrong = (
            field_flaw(skill.output, pointed.field, owner=f"the output of step '{pointed.name}'")
            if skill and pointed.field
            else None
        )
        if wrong:
            yield Flaw(at, wrong)

    def _circle(self) -> Iterator[Flaw]:
        try:
            graph = {step.name: self._known(step) for step in self.workflow.steps}
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            around = list(reversed(error.args[1]))
            number = list(self.steps).index(around[0])
            yield Flaw(("steps", number), f"steps wait for each other in a circle: {' -> '.join(around)}")

    def _known(self, step: Step) -> list[str]:
        try:
            return [name for name in dependencies(step) if name in self.steps]
        except (SyntaxError, ValueError, RecursionError):
            return []

    def _skill(self, step: Step) -> Skill | None:
        return self.names.skills.get(step.skill) if step.skill else None

    def _no_step(self, name: str) -> str:
        return f"no step is called '{name}'{suggestion(name, self.steps) or f'; there are {listed(self.steps)}'}"
