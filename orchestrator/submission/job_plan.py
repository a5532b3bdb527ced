"""What a request comes to: what it names is found, its plan made; for whoever begins, shows or reckons its job."""

import secrets
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Connection

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.drafts.draft import planning_workflow
from firstline.orchestrator.plans.compile import compile_plan, granted_tools
from firstline.orchestrator.plans.single_tier import BASELINE, as_they_come
from firstline.orchestrator.plans.thresholds import known_certificates
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.tables import JobRow
from firstline.orchestrator.submission.earlier_answers import EarlierAnswers, of_job
from firstline.orchestrator.submission.input_fit import InputFit
from firstline.orchestrator.submission.item_fields import needs
from firstline.orchestrator.submission.item_reader import InputItem, as_item
from firstline.schemas.base import JsonObject
from firstline.schemas.job import JobRequest, JobState
from firstline.schemas.plan import Plan, Workflow
from firstline.schemas.tier import Profile
from firstline.workers.rules.lanes import with_tiers


@dataclass(frozen=True)
class JobPlan:
    """A request with its workflow and ladder found, and the plan that its job has."""

    #: Its options name the ladder, and the tiers that the job runs on.
    request: JobRequest
    workflow: Workflow
    profile: Profile
    plan: Plan
    #: Folders of the user's own Python functions.
    functions: tuple[Path, ...]

    @cached_property
    def earlier(self) -> EarlierAnswers | None:
        """The answers that its items may have of each other and of earlier jobs; None: no item stands for itself."""
        return of_job(self.plan, self.profile, self.request.options, self.functions)

    def refuse_misfit(self, items: Iterable[InputItem | JsonObject]) -> None:
        """Raise a UserError where not one of the items brings what the workflow reads of each."""
        fit = InputFit(needs(self.workflow, self.plan.skills))
        deque(fit.watch(as_item(one, n) for n, one in enumerate(items)), maxlen=0)
        fit.refuse_misfit("the input")

    def row(self, *, body: str | None) -> JobRow:
        """Return the job as it is written down, under a new id; `body`: a digest of all that was asked."""
        request, options = self.request, self.request.options
        return JobRow(
            id=f"{now():%m%d}-{secrets.token_hex(4)}",
            name=request.name or self.workflow.name,
            workflow=self.workflow.name,
            goal=request.goal,
            state=JobState.RECEIVING.value,
            tenant=options.tenant,
            priority=options.priority.value,
            purpose=options.purpose,
            plan=self.plan.model_dump(mode="json"),
            profile=self.profile.model_dump(mode="json"),
            options=options.model_dump(mode="json"),
            folders=[str(folder.absolute()) for folder in self.functions],
            budget_usd=options.budget_usd,
            idempotency_key=request.idempotency_key,
            request_digest=body,
            recipe=self.earlier.recipe if self.earlier else None,
            created_at=now(),
            deadline=options.deadline,
        )


def job_plan(tx: Connection, request: JobRequest, *, functions: Sequence[Path] = ()) -> JobPlan:
    """Return what a request comes to; UserError: unknown names, an invalid workflow, tools that it was not granted.

    `functions`: folders of Python functions; none: those of the catalogue.
    """
    tenant = request.options.tenant
    catalogue = load_catalogue(tenant=tenant)
    profile = catalogue.profile_of(request)
    workflow = catalogue.workflow_of(request) or planning_workflow(request.goal)
    options = with_tiers(request.options.evolve(profile=profile.name), profile)
    plan = compile_plan(
        workflow,
        catalogue=catalogue,
        profile=profile,
        tiers=options.tiers,
        granted=granted_tools(catalogue, named=options.tools, tenant=tenant, role=request.role),
        certificates=known_certificates(tx, profile=profile, tenant=tenant),
    )
    return JobPlan(
        request=request.evolve(options=options),
        workflow=workflow,
        profile=profile,
        plan=as_they_come(plan) if options.purpose == BASELINE else plan,
        functions=tuple(map(Path, functions)) or catalogue.functions,
    )
