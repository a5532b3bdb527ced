"""What is wrong within one skill beyond the form of its fields."""

from collections.abc import Callable, Container, Iterator

from firstline.config.catalogue.answer_fields import OTHERS, WHOLE
from firstline.config.catalogue.schema_fields import field_flaw, schema_flaws, value_flaws
from firstline.config.errors.error_messages import Flaw, Location, listed, suggestion
from firstline.schemas.check import Citations, Grounded
from firstline.schemas.comparator import COMPARATORS, FUNCTION_PATH
from firstline.schemas.skill import Skill


def skill_flaws(skill: Skill, *, tools: Callable[[str], str | None]) -> list[Flaw]:
    """Return the flaws of a skill; `tools` says why a tool's name will not do, or None."""
    broken = schema_flaws(skill.output, ("output",))
    fields = (
        [] if broken else [*_check_fields(skill), *_signal_fields(skill), *_compared_fields(skill), *_examples(skill)]
    )
    return [*broken, *fields, *_sources(skill), *_signals(skill), *_tools(skill, tools)]


def _check_fields(skill: Skill) -> Iterator[Flaw]:
    for number, check in enumerate(skill.checks):
        yield from _field(skill, check.field, ("checks", number, "field"))


def _signal_fields(skill: Skill) -> Iterator[Flaw]:
    for number, signal in enumerate(skill.confidence):
        yield from _field(skill, signal.field, ("confidence", number, "field"))


def _compared_fields(skill: Skill) -> Iterator[Flaw]:
    for path, comparator in skill.compare.items():
        yield from _field(skill, None if path in (WHOLE, OTHERS) else path, ("compare", path))
        if comparator.by not in COMPARATORS and not FUNCTION_PATH.search(comparator.by):
            known = f"expected {listed(COMPARATORS)} or a function as module:function"
            yield Flaw(("compare", path), f"{known}, got '{comparator.by}'")


def _field(skill: Skill, path: str | None, at: Location) -> Iterator[Flaw]:
    wrong = field_flaw(skill.output, path, owner="the output") if path else None
    if wrong:
        yield Flaw(at, wrong)


def _sources(skill: Skill) -> Iterator[Flaw]:
    for number, check in enumerate(skill.checks):
        if isinstance(check, Grounded | Citations) and check.source is not None:
            yield from _input_field(skill, check.source.split(".")[0], skill.input, ("checks", number, "source"))


def _input_field(skill: Skill, name: str, known: Container[str], at: Location) -> Iterator[Flaw]:
    if name not in known:
        hint = suggestion(name, skill.input) or f"; it has {listed(skill.input)}"
        yield Flaw(at, f"the skill has no input field '{name}'{hint}")


def _examples(skill: Skill) -> Iterator[Flaw]:
    needed = [name for name, field in skill.input.items() if field.required]
    for number, example in enumerate(skill.examples):
        missing = [name for name in needed if name not in example.input]
        if missing:
            yield Flaw(
                ("examples", number, "input"), f"lacks the input field{'s' * (len(missing) > 1)} {listed(missing)}"
            )
        yield from value_flaws(skill.output, example.output, ("examples", number, "output"))


def _signals(skill: Skill) -> Iterator[Flaw]:
    for number, signal in enumerate(skill.confidence):
        if signal.kind == "function" and signal.path is None:
            yield Flaw(("confidence", number), "a signal of kind `function` needs its `path:`, such as module:function")


def _tools(skill: Skill, tools: Callable[[str], str | None]) -> Iterator[Flaw]:
    for number, name in enumerate(skill.tools):
        wrong = tools(name)
        if wrong:
            yield Flaw(("tools", number), wrong)
