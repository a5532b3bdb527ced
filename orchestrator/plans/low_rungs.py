"""Which of the rungs below chat models serve a step, and why the others do not: said before a job runs."""

from collections.abc import Iterator

from firstline.schemas.plan import Plan, PlannedStep
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile, TierKind
from firstline.workers.rules.closed_answers import open_field


def without_student(planned: PlannedStep, skill: Skill, *, student: str) -> str | None:
    """Return why a step that a skill answers has no student; None: it has one."""
    if planned.step.after:
        return "a student reads the item alone, and it reads earlier steps"
    if skill.tools:
        return f"skill '{skill.name}' calls tools, which a student cannot"
    if planned.policy.start not in (None, student):
        return f"it is pinned to tier {planned.policy.start}"
    name = open_field(skill.output)
    return f"a student gives closed answers only; {name} may hold anything" if name is not None else None


def passed_by(plan: Plan, profile: Profile) -> Iterator[str]:
    """Yield, step by step, which low rungs of a profile will answer nothing, and why."""
    deciding = [tier for tier in profile.ladder if tier.kind is TierKind.DECISION]
    for planned in plan.steps:
        skill = plan.skills.get(planned.step.skill or "")
        if skill is None or planned.step.is_barrier:
            continue
        if profile.student is not None:
            why = without_student(planned, skill, student=profile.student.name)
            if why:
                yield f"{planned.step.name}: {profile.student.name} answers nothing: {why}"
        for tier in deciding:
            bars = planned.thresholds.get(tier.name, {}).values()
            if bars and all(one.value is None for one in bars):
                yield f"{planned.step.name}: {tier.name} answers nothing: {next(iter(bars)).why}"
