"""What a planner is shown: the goal, what it may choose from, a sample of the items, what has been done, its limits."""

import json

from sqlalchemy import Connection

from firstline.config.catalogue.catalogue import ENGINE_SKILLS
from firstline.config.drafts.draft import (
    RESERVED,
    ItemsView,
    KnownStep,
    OfferedSkill,
    OfferedTool,
    PlanLimits,
    PlannerInput,
)
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.store import items, jobs, overview
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.plan import PlannedStep
from firstline.schemas.skill import Skill
from firstline.workers.estimates.forecast import rungs
from firstline.workers.rules.data_fence import as_text

#: Levels of sub-plans below a plan.
LEVELS = 2
_SAMPLE = 5
_LOOKED_AT = 25
_FIELD_CHARS = 600
_SKILLS_CHARS = 80_000


def given(tx: Connection, *, job: Job, planned: PlannedStep) -> PlannerInput:
    """Return what the planner of a step is shown."""
    level = planned.step.options.get("level")
    left = LEVELS - 1 - (level if isinstance(level, int) else 0)
    budget_usd = None if job.budget_usd is None else max(0.0, job.budget_usd - jobs.spent(tx, job=job.id))
    return PlannerInput(
        goal=goal_of(tx, job=job, planned=planned),
        skills=offered_skills(job),
        tools=offered_tools(job),
        tiers=tuple(rung for rung in rungs(job.profile) if rung.name in job.ladder),
        items=items_view(tx, job=job),
        done=known_steps(tx, job=job, upto=planned.segment),
        limits=PlanLimits(levels=left, budget_usd=budget_usd),
    )


def goal_of(tx: Connection, *, job: Job, planned: PlannedStep) -> str:
    """Return what a plan is for: the step's own goal, the job's, or its workflow's name."""
    row = jobs.get(tx, job=job.id)
    return str(planned.step.options.get("goal") or row["goal"] or f"the workflow '{row['workflow']}'")


def offered_tools(job: Job) -> tuple[OfferedTool, ...]:
    """Return the tools that a plan may use: none that its submitter was not granted, or its workflow does not name."""
    found = (tool for name, tool in job.plan.tools.items() if name in job.plan.offered)
    return tuple(OfferedTool(name=tool.name, description=tool.description) for tool in found)


def offered_skills(job: Job) -> tuple[OfferedSkill, ...]:
    """Return the skills that a plan may use, as many as a prompt can show."""
    room = _SKILLS_CHARS
    found: list[OfferedSkill] = []
    for skill in job.plan.skills.values():
        if skill.name not in ENGINE_SKILLS and set(skill.tools) <= set(job.plan.offered):
            offered = _offered(skill)
            room -= len(offered.model_dump_json())
            if room < 0:
                break
            found.append(offered)
    return tuple(found)


def _offered(skill: Skill) -> OfferedSkill:
    fields = {
        name: field.description if field.required else f"(optional) {field.description}"
        for name, field in skill.input.items()
    }
    return OfferedSkill(
        name=skill.name, description=skill.description, reasoning=skill.reasoning, input=fields, output=skill.output
    )


def items_view(tx: Connection, *, job: Job) -> ItemsView:
    """Return how many items there are and what they are like, from two dozen spread over all."""
    step = max(1, job.items // _LOOKED_AT)
    numbers = range(0, job.items, step)[:_LOOKED_AT]
    rows = list(items.load(tx, job=job.id, numbers=numbers).values())
    sample = rows[:: max(1, len(rows) // _SAMPLE)][:_SAMPLE]
    fields = dict.fromkeys(name for row in rows for name in row["input"])
    return ItemsView(
        count=job.items,
        mean_chars=sum(len(json.dumps(row["input"], ensure_ascii=False)) for row in rows) // max(1, len(rows)),
        fields=tuple(fields),
        sample=tuple(_short(row["input"]) for row in sample),
    )


def _short(item: JsonObject) -> JsonObject:
    return {name: _cut(value) for name, value in item.items()}


def _cut(value: Json) -> Json:
    text = as_text(value)
    return value if len(text) <= _FIELD_CHARS else f"{text[:_FIELD_CHARS]} [... {len(text):,} characters]"


def known_steps(tx: Connection, *, job: Job, upto: int) -> tuple[KnownStep, ...]:
    """Return the steps before a segment that have answers to build on."""
    counts = overview.steps_by_state(tx, job=job.id)
    return tuple(
        KnownStep(
            name=planned.step.name,
            scope="job" if planned.step.is_barrier else "item",
            output=_output(job, planned),
            settled=counts.get(planned.step.name, {}).get("settled", 0),
            failed=counts.get(planned.step.name, {}).get("failed", 0),
        )
        for planned in job.plan.steps
        if planned.segment < upto and RESERVED not in planned.step.name and planned.step.skill not in ENGINE_SKILLS
    )


def _output(job: Job, planned: PlannedStep) -> JsonObject:
    skill = job.plan.skills.get(planned.step.skill or "")
    return skill.output if skill else {}
