"""A plan that a model wrote becomes part of its job's plan."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from firstline.config.drafts.draft import Draft
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.compile import compile_plan
from firstline.orchestrator.plans.planner.given import known_steps
from firstline.orchestrator.plans.thresholds import known_certificates
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Plan, PlannedStep, StepKind
from firstline.schemas.skill import Skill
from firstline.schemas.tool import ToolSpec


@dataclass(frozen=True)
class SubmittedCatalogue:
    """The skills and tools that a job's plan brought along when it was submitted."""

    plan: Plan

    @property
    def skills(self) -> Iterable[Skill]:
        """All of them."""
        return self.plan.skills.values()

    @property
    def tools(self) -> Iterable[ToolSpec]:
        """All of them."""
        return self.plan.tools.values()

    def skill(self, name: str) -> Skill:
        """Return a skill by name."""
        if name not in self.plan.skills:
            raise UserError(f"the job has no skill '{name}'")
        return self.plan.skills[name]

    def tool(self, name: str) -> ToolSpec:
        """Return a tool by name."""
        if name not in self.plan.tools:
            raise UserError(f"the job has no tool '{name}'")
        return self.plan.tools[name]


def compile_draft(tx: Connection, *, job: Job, planned: PlannedStep, draft: Draft) -> Plan:
    """Return the plan that a draft stands for, to be put behind a step of the job's; UserError where it will not do."""
    level = planned.step.options.get("level")
    deeper = 1 + (level if isinstance(level, int) else 0)
    steps = tuple(
        step.evolve(options={**step.options, "level": deeper}) if step.kind is StepKind.PLAN else step
        for step in draft.steps
    )
    return compile_plan(
        draft.workflow(job.name).evolve(steps=steps),
        catalogue=SubmittedCatalogue(job.plan),
        profile=job.profile,
        tiers=job.options.tiers,
        certificates=known_certificates(tx, profile=job.profile, tenant=job.tenant),
        granted=job.plan.offered,
        done={known.name for known in known_steps(tx, job=job, upto=planned.segment + 1)},
    )
