"""Checks of an answer: the skill's JSON Schema first, then what the skill declares, in order."""

from pathlib import Path
from typing import assert_never

from firstline.schemas.base import Json, JsonObject
from firstline.schemas.check import (
    CheckResult,
    CheckSpec,
    Citations,
    Date,
    Executable,
    Expression,
    Grounded,
    Language,
    Length,
    NoRefusal,
    NumberAsWritten,
    OneOf,
    PlanSound,
    Range,
    Regex,
)
from firstline.schemas.skill import Skill
from firstline.workers.checks import (
    citations,
    dates,
    expression,
    function,
    grounded,
    language,
    length,
    no_refusal,
    number_as_written,
    one_of,
    plan,
    range,
    regex,
    schema,
)
from firstline.workers.checks.subject import Subject
from firstline.workers.rules.json_paths import brief, reach

_LONGEST_REASON = 500
#: A plan is mended in one go or not at all: its planner hears of every fault.
_LONGEST_PLAN_REASON = 3_000


def run_checks(
    skill: Skill,
    value: Json,
    *,
    item: JsonObject,
    text: str | None = None,
    tier: str = "",
    folders: tuple[Path, ...] = (),
) -> tuple[CheckResult, ...]:
    """Return what each check says of an answer; never raises: a check that breaks has failed, with the reason.

    `item` holds the skill's inputs by field name (and may hold more). A value that departs from the schema is not
    checked further. A declared check whose field is absent or null passes: whether it must be there the schema says.
    `text`, the answer as it came, is looked at for refusals where a skill asks for that.
    """
    first = _schema_result(skill, value)
    if not first.passed:
        return (first, *_refusal(skill, text))
    subject = Subject(skill, value, item, folders)
    declared = [spec for spec in skill.checks if not spec.tiers or tier in spec.tiers]
    return (first, *(_result(spec, subject) for spec in declared))


def may_block(skill: Skill) -> bool:
    """Say whether checking an answer waits for another process, as a user's function has: do it off the event loop."""
    return skill.repair is not None or any(isinstance(spec, Executable | Regex | Citations) for spec in skill.checks)


def _schema_result(skill: Skill, value: Json) -> CheckResult:
    try:
        return CheckResult(check="schema", reason=schema.reason(skill, value))
    except Exception as error:  # a schema that is none, an unresolvable reference
        return CheckResult(check="schema", reason=f"could not be checked: {brief(str(error), 300)}")


def _refusal(skill: Skill, text: str | None) -> tuple[CheckResult, ...]:
    """Say that an answer without the asked form is a refusal, where it is: better feedback than the form alone."""
    asked = [spec for spec in skill.checks if isinstance(spec, NoRefusal)]
    said = no_refusal.reason(asked[0], text) if asked and text else None
    return (CheckResult(check="no_refusal", reason=said, hint=asked[0].hint),) if said else ()


def _result(spec: CheckSpec, subject: Subject) -> CheckResult:
    name = f"{spec.kind}({spec.field})" if spec.field else spec.kind
    try:
        said = _first_reason(spec, subject)
    except Exception as error:  # a pattern that runs away, a broken detector: the answer is not to be trusted unchecked
        said = f"could not be checked: {type(error).__name__}: {brief(str(error), 200)}"
    longest = _LONGEST_PLAN_REASON if isinstance(spec, PlanSound) else _LONGEST_REASON
    return CheckResult(check=name, reason=said and brief(said, longest), hint=spec.hint if said else None)


def _first_reason(spec: CheckSpec, subject: Subject) -> str | None:
    for where, value in reach(subject.value, spec.field):
        if value is not None and (said := _reason(spec, where, value, subject)):
            return f"`{where}`: {said}" if where else said
    return None


def _reason(spec: CheckSpec, where: str, value: Json, subject: Subject) -> str | None:  # noqa: PLR0911, PLR0912 - one a check
    match spec:
        case OneOf():
            return one_of.reason(spec, value)
        case Regex():
            return regex.reason(spec, value)
        case Range():
            return range.reason(spec, value)
        case Length():
            return length.reason(spec, value)
        case Date():
            return dates.reason(spec, value)
        case NumberAsWritten():
            return number_as_written.reason(spec, where, value, subject)
        case Expression():
            return expression.reason(spec, value, subject)
        case Grounded():
            return grounded.reason(spec, value, subject)
        case Citations():
            return citations.reason(spec, value, subject)
        case Language():
            return language.reason(spec, value)
        case NoRefusal():
            return no_refusal.reason(spec, value)
        case Executable():
            return function.reason(spec, value, subject)
        case PlanSound():
            return plan.reason(value, subject)
    assert_never(spec)
