"""Tiers that skills and steps ask for by name, against the ladder that a job runs on."""

from collections.abc import Iterator, Mapping

from firstline.config.errors.problem import listed, suggestion
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile


def missing_tiers(workflow: Workflow, skills: Mapping[str, Skill], profile: Profile) -> list[str]:
    """Return a sentence for each tier that a workflow cannot do without and the profile's ladder lacks."""
    known = [tier.name for tier in profile.ladder]
    lacks = f"but profile '{profile.name}' has no such tier that models answer on"
    return [
        f"{who} tier '{tier}', {lacks}{suggestion(tier, known) or f'; it has {listed(known)}'}"
        for who, tier in _asked(workflow, skills)
        if tier not in known
    ]


def _asked(workflow: Workflow, skills: Mapping[str, Skill]) -> Iterator[tuple[str, str]]:
    for step in workflow.steps:
        if step.policy and step.policy.start:
            yield f"step '{step.name}' starts on", step.policy.start
    for name, skill in skills.items():
        if skill.policy.start:
            yield f"skill '{name}' starts on", skill.policy.start
        for signal in skill.confidence:
            if signal.tier:
                yield f"skill '{name}' is verified on", signal.tier
