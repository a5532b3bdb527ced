"""What the improver is told of a skill, and the skill as it proposes it; pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from firstline.config.catalogue.skill_flaws import skill_flaws
from firstline.orchestrator.reports.failures import causes, normalised
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.failure import Cause, Failure
from firstline.schemas.skill import Example, Skill

#: Causes that are told, and samples of each.
CAUSES = 8
_SAMPLES = 3
_SAMPLE_CHARS = 700
#: More worked examples than this make a prompt dear without making it better.
_EXAMPLES = 8


@dataclass(frozen=True)
class Right:
    """An item with its right answer: a candidate for an example."""

    inputs: JsonObject
    answer: Json


def brief(
    skill: Skill, failures: Sequence[Failure], candidates: Sequence[Right], rules: Sequence[str] = ()
) -> JsonObject:
    """Return the improver's inputs: the prompt as it is, causes with samples, reviewers' rules, numbered candidates."""
    told: JsonObject = {
        "instructions": skill.instructions,
        "output": skill.output,
        "causes": "\n".join(_told(cause, failures) for cause in causes(failures)[:CAUSES]) or "none on record",
    }
    if rules:
        told["rules"] = "\n".join(f"- {_short(rule)}" for rule in rules)
    if skill.examples:
        told["examples"] = "\n".join(_pair(one.input, one.output) for one in skill.examples)
    if candidates:
        told["candidates"] = "\n".join(f"{n}. {_pair(one.inputs, one.answer)}" for n, one in enumerate(candidates, 1))
    return told


def _told(cause: Cause, failures: Sequence[Failure]) -> str:
    samples = [one for one in failures if normalised(one.reasons[0]) == cause.reason]
    lines = [f"{cause.count} times, {cause.check}: {cause.reason}"]
    for one in samples[:_SAMPLES]:
        lines.append(f"  sample: {_pair(one.input, one.text if one.value is None else one.value)}")
        if one.settled_by is not None:
            lines.append(f"    right, by {one.settled_by}: {_short(one.settled)}")
    return "\n".join(lines)


def _pair(inputs: JsonObject, answer: Json) -> str:
    return f"{_short(inputs)} -> {_short(answer)}"


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SAMPLE_CHARS else f"{text[:_SAMPLE_CHARS]}…"


def revised(skill: Skill, proposal: JsonObject, candidates: Sequence[Right], *, version: int) -> Skill:
    """Return the skill as proposed; UserError when that is no usable skill, or nothing new."""
    examples = (*skill.examples, *_chosen(proposal.get("examples"), candidates, known=skill.examples))[-_EXAMPLES:]
    new = skill.evolve(version=version, instructions=str(proposal["instructions"]), examples=examples)
    if (new.instructions.strip(), new.examples) == (skill.instructions.strip(), skill.examples):
        raise UserError(f"nothing to change in the prompt of '{skill.name}': {proposal['diagnosis']}")
    flaws = skill_flaws(new, tools=lambda name: None)
    if flaws:
        raise UserError(f"the proposed version is not usable: {flaws[0].where}: {flaws[0].text}")
    return new


def _chosen(numbers: Json, candidates: Sequence[Right], *, known: Sequence[Example]) -> list[Example]:
    listed = numbers if isinstance(numbers, list) else []
    picked = dict.fromkeys(n for n in listed if isinstance(n, int) and 1 <= n <= len(candidates))
    made = [Example(input=candidates[n - 1].inputs, output=candidates[n - 1].answer) for n in picked]
    return [one for one in made if one not in known]
