"""Recorded calls by family, as the endpoint would group them, with what each costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from firstline.orchestrator.experiments.adopt.log_formats import RecordedCall
from firstline.orchestrator.experiments.adopt.recorded_calls import ReadLogs
from firstline.orchestrator.quality.families.family import Family, FamilyChoice, FamilyState
from firstline.orchestrator.quality.families.family_skill import (
    comparator_of_texts,
    skill_of,
    value_of,
    why_straight,
)
from firstline.orchestrator.quality.families.prompts import common_skeleton, fits
from firstline.orchestrator.quality.families.signature import Signature, signature_of
from firstline.orchestrator.store.jobs import now
from firstline.schemas.attempt import Usage
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.pricing import reckoned

#: Prompts of a shape among which siblings of a new one are sought.
_SOUGHT = 60
_CHARS_PER_TOKEN = 4


@dataclass
class LogFamily:
    """The recorded calls of one family."""

    family: Family
    skill: Skill
    #: Why nothing of it can be certified; None: it can be tried.
    why: str | None
    calls: list[RecordedCall]
    #: What they cost with the top model.
    usd: float

    @property
    def usable(self) -> list[RecordedCall]:
        """The calls whose answer has the form that was asked for."""
        return [call for call in self.calls if value_of(self.skill, call.answer) is not MISSING]


@dataclass
class _Shape:
    signature: Signature
    #: Prompts that stand by themselves, and skeletons of such as vary, with their calls.
    exact: dict[str, list[RecordedCall]] = field(default_factory=dict)
    varying: dict[str, list[RecordedCall]] = field(default_factory=dict)

    def take(self, prompt: str, call: RecordedCall) -> None:
        known = self.exact.get(prompt)
        if known is None:
            known = next((calls for shared, calls in self.varying.items() if fits(shared, prompt)), None)
        if known is not None:
            known.append(call)
            return
        shared = common_skeleton(prompt, list(self.exact)[-_SOUGHT:])
        if shared is None:
            self.exact[prompt] = [call]
        else:
            parts = [self.exact.pop(one) for one in shared[1]]
            self.varying[shared[0]] = [*(one for part in parts for one in part), call]


def grouped(logs: ReadLogs, profile: Profile, *, max_loss: float) -> list[LogFamily]:
    """Return the families of recorded calls, those that cost most first."""
    top = profile.ladder[-1].models[0]
    shapes: dict[str, _Shape] = {}
    for call in logs.calls:
        signature = signature_of(call.request, tenant="default", model=top.name, profile=profile.name)
        shapes.setdefault(signature.shape, _Shape(signature)).take(signature.prompt, call)
    found = [
        _family(shape.signature, prompt, calls, profile, max_loss)
        for shape in shapes.values()
        for prompt, calls in (*shape.exact.items(), *shape.varying.items())
    ]
    return sorted(found, key=lambda one: -one.usd)


def _family(
    signature: Signature, prompt: str, calls: Sequence[RecordedCall], profile: Profile, max_loss: float
) -> LogFamily:
    usd = sum(usd_of(call, profile.ladder[-1].models[0]) for call in calls)
    family = Family(
        **signature.of_family(prompt),
        state=FamilyState.SHADOW,
        why="",
        choice=FamilyChoice.AUTO,
        compare=None,
        max_loss=max_loss,
        merged_into=None,
        requests=len(calls),
        top_calls=len(calls),
        top_usd=usd,
        served=0,
        served_usd=0.0,
        shadow_usd=0.0,
        looked=0,
        created_at=now(),
        seen_at=now(),
    )
    if family.straight is None and skill_of(family).is_text:
        family = family.evolve(compare=comparator_of_texts([call.answer for call in calls]))
    skill = skill_of(family)
    return LogFamily(family, skill, why_straight(family, profile, skill), list(calls), usd)


def usd_of(call: RecordedCall, top: Model) -> float:
    """Return what a call cost: as the log says, else by its tokens at the top model's price."""
    if call.cost_usd is not None:
        return call.cost_usd
    chars = len(str(call.request["messages"]))
    usage = Usage(
        input_tokens=call.input_tokens if call.input_tokens is not None else chars // _CHARS_PER_TOKEN,
        output_tokens=call.output_tokens
        if call.output_tokens is not None
        else -(-len(call.answer) // _CHARS_PER_TOKEN),
    )
    return reckoned(usage, top) or 0.0
