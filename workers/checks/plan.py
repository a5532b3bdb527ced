"""A planner model's plan can be carried out."""

from firstline.config.drafts.draft import Draft, PlannerInput
from firstline.config.drafts.draft_flaws import draft_flaws, offered_skill
from firstline.schemas.base import Json
from firstline.schemas.skill import Skill
from firstline.workers.checks.subject import Subject
from firstline.workers.estimates.forecast import Load, forecast, total


def reason(value: Json, subject: Subject) -> str | None:
    """Say what is wrong with a plan, each fault at its place; None: it can be compiled and fits its budget."""
    if isinstance(value, dict) and value.get("decision") in ("continue", "stop"):
        return None
    given = PlannerInput.of(subject.item)
    draft, flaws = draft_flaws(value, given)
    return "; ".join(flaws) or (_too_dear(draft, given) if draft else None)


def _too_dear(draft: Draft, given: PlannerInput) -> str | None:
    budget_usd = given.limits.budget_usd
    if budget_usd is None or not draft.steps or not given.tiers:
        return None
    skills: dict[str, Skill] = {skill.name: offered_skill(skill) for skill in given.skills}
    skills |= {skill.name: skill.skill for skill in draft.skills}
    parts = forecast(
        draft.steps, skills=skills, tiers=given.tiers, load=Load(given.items.count, given.items.mean_chars)
    )
    cost_usd = total(parts)
    if cost_usd is None or cost_usd <= budget_usd:
        return None
    dearest = max(parts, key=lambda part: part.cost_usd or 0.0)
    return (
        f"it would cost about ${cost_usd:.2f}, but ${budget_usd:.2f} are left; the dearest step is '{dearest.step}' "
        f"({dearest.calls:,} calls from tier '{dearest.tier}' on): lower its `reasoning`, put a cheap `route` with a "
        "`when` before it, or leave it out"
    )
