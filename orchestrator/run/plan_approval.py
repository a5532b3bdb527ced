"""`firstline plan` from the goal to a plan that a person can judge, and on to the run once there is a yes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.api import preview
from firstline.orchestrator.money import job_estimate
from firstline.orchestrator.money.estimate import Sample, estimate, of_plan
from firstline.orchestrator.reports.plan_text import PlanView, as_file, as_workflow, plan_view
from firstline.orchestrator.run.runner import RunResult, View, audit, crew_for, follow, reported, submit
from firstline.orchestrator.store import jobs
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from firstline.schemas.plan import Workflow

#: What a workflow is reckoned for where no items are given.
ASSUMED = Sample(1_000, [{"text": "x" * 1_000}])


@dataclass(frozen=True)
class PlanDraft:
    """A plan, as it is shown and as it would be saved."""

    view: PlanView
    workflow: Workflow


def of_job(job_id: str) -> PlanDraft:
    """Return the plan of a job as it stands."""
    steering = api.engine()
    with steering.db.reading() as tx:
        row = jobs.get(tx, job=job_id)
        job = steering.job(tx, job_id)
        expected = job_estimate.of_job(tx, job)
        spent_usd = jobs.spent(tx, job=job_id)
    shown = plan_view(job.plan, expected, job.profile).evolve(
        name=row["name"], job=job_id, state=row["state"], reason=row["reason"], goal=row["goal"], spent_usd=spent_usd
    )
    known = load_catalogue(tenant=job.tenant)
    return PlanDraft(shown, as_workflow(job.plan, goal=row["goal"], name=row["workflow"], catalogue=known))


def of_order(order: Order) -> PlanDraft:
    """Return the plan that a workflow stands for, with what it would cost for the order's items; nothing is spent."""
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill; the plan of a goal is written by a model")
    plan = preview(order.request.evolve(profile=order.profile))
    with api.engine().db.reading() as tx:
        if order.source is None:
            expected = of_plan(tx, plan, profile=order.profile, options=order.request.options, sample=ASSUMED)
        else:
            with order.checked() as usable:
                expected = estimate(tx, usable)
        return PlanDraft(plan_view(plan, expected, order.profile), workflow)


def run_with_yes(
    order: Order, view: View, yes: Callable[[PlanDraft], bool], *, record: Path | None = None
) -> tuple[PlanDraft, RunResult | None]:
    """Have a goal's plan written, and run it if `yes` says so of it; else the job waits for `firstline approve`.

    UserError with the reasons when no usable plan was written.
    """
    options = order.request.options.evolve(approve=True)
    asking = replace(order, request=order.request.evolve(options=options))
    with asking.checked() as usable, crew_for(usable, record) as crew:
        job = submit(usable, crew.profile)
        view.show_page(job)
        status = follow(job, View(quiet=view.quiet), crew.check, title="planning: ")
        if status.state is not JobState.AWAITING_APPROVAL:
            raise UserError(f"job {job} has no plan ({status.state.value}): {status.reason}")
        planned = of_job(job)
        if not yes(planned):
            return planned, None
        api.approve(job)
        status = follow(job, view, crew.check)
        audit(job, crew.check, view)
        return planned, RunResult(status, reported(job))


def approve(job: str) -> None:
    """Say yes to the plan of a job; UserError when none waits for it."""
    if not api.approve(job):
        raise UserError(f"job {job} is {api.status(job).state.value}; no plan of it waits for a yes")


def save(planned: PlanDraft, file: Path) -> None:
    """Write a plan as a workflow file, named for the file."""
    text = as_file(planned.workflow)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); choose another place with --save") from None
