"""The skill of a family: its requests are asked as they came, its answers are checked and compared by its schema."""

import json
import re
from collections.abc import Sequence

from firstline.config.catalogue.answer_fields import comparators_of
from firstline.config.catalogue.schema_fields import schema_flaws
from firstline.orchestrator.plans.thresholds import signals_for
from firstline.orchestrator.quality.families.family import Family
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.comparator import Comparator
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import Policy, Signal
from firstline.schemas.skill import InputField, Skill
from firstline.schemas.tier import Profile
from firstline.workers.rules.json_paths import MISSING, Absent

CONVERSATION = "messages"
STEP = "answer"
AUDIT_SHARE = 0.05
#: Texts that were seen so often, in so few wordings, are taken for labels.
_SEEN, _WORDINGS, _LABEL_CHARS = 30, 20, 60
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?%?")


def skill_of(family: Family, *, compare: str | None = None) -> Skill:
    """Return a family's skill; `compare`: how texts are compared where neither its owner nor a schema says."""
    named = family.compare or compare
    output = schema_of(family)
    return Skill(
        name=family.name,
        description=f"Requests that begin: {family.prompt[:80]!r}",
        instructions=family.prompt or "(no system prompt)",
        input={CONVERSATION: InputField(max_chars=2_000_000)},
        conversation=CONVERSATION,
        output=output,
        # Free signals first; a model without log-probabilities is asked twice more.
        confidence=(*signals_for(output), Signal(kind="agreement", samples=2)),
        compare={"*": Comparator(by=named)} if named else {},
        params=dict(family.params),
        policy=Policy(
            attempts_per_tier=1,
            audit_share=AUDIT_SHARE,
            max_loss=family.max_loss,
            on_drift="escalate",
            unsure="escalate",
        ),
    )


def workflow_of(skill: Skill) -> Workflow:
    """Return the workflow of a family's skill alone."""
    return Workflow(name=skill.name, steps=(Step(name=STEP, skill=skill.name),), skills=(skill,))


def schema_of(family: Family) -> JsonObject:
    """Return the schema of a family's answers; a text where its requests ask for no other form."""
    match family.response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict() as schema}}:
            return schema
        case {"type": "json_object"} | {"type": "json_schema"}:
            return {"type": "object"}
    return {"type": "string"}


def why_straight(family: Family, profile: Profile, skill: Skill) -> str | None:
    """Return why nothing of a family can ever be certified; None: it can be tried."""
    if family.straight is not None:
        return family.straight
    if len(profile.ladder) < 2:
        return f"the profile '{profile.name}' has no tier below {family.model}"
    if flaws := schema_flaws(skill.output, ("schema",)):
        return f"its schema cannot be checked: {flaws[0].text}"
    silent = [path or "the answer" for path, one in comparators_of(skill).items() if one is None]
    if silent:
        what = ", ".join(silent[:3])
        return f"free text: nobody compares {what}"
    return None


def comparator_of_texts(texts: Sequence[str]) -> str | None:
    """Return how texts are compared that turn out to be numbers or a few labels; None: they are prose, or few."""
    if len(texts) < _SEEN:
        return None
    plain = [text.strip() for text in texts]
    if all(_NUMBER.fullmatch(text) for text in plain):
        return "number"
    is_closed = len(set(plain)) <= _WORDINGS and all(len(text) <= _LABEL_CHARS for text in plain)
    return "exact" if is_closed else None


def value_of(skill: Skill, answer: str) -> Json | Absent:
    """Return the value in a recorded answer; MISSING where there is none in it."""
    if skill.is_text:
        return answer.strip() or MISSING
    try:
        found: Json = json.loads(answer)
    except ValueError:
        return MISSING
    return found
