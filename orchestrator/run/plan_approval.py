"""`firstline plan` from the goal to a plan that a person can judge, and on to the run once there is a yes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue, load_catalogue
from firstline.orchestrator import api
from firstline.orchestrator.api import preview
from firstline.orchestrator.plans.planner.given import items_view
from firstline.orchestrator.reports.plan_text import PlanView, as_file, as_workflow, plan_view
from firstline.orchestrator.run.runner import Finished, View, audit, crew_for, follow, submit
from firstline.orchestrator.store import jobs
from firstline.orchestrator.submission.item_reader import count_items
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState
from firstline.schemas.plan import Plan, Workflow
from firstline.schemas.tier import Profile
from firstline.workers.estimates.forecast import Load
from firstline.workers.rules.data_fence import as_text

#: What a workflow is reckoned for where no items are given.
ASSUMED = Load(items=1_000, mean_chars=1_000)
_LOOKED_AT = 25


@dataclass(frozen=True)
class Planned:
    """A plan, as it is shown and as it would be saved."""

    view: PlanView
    workflow: Workflow


def of_job(job: str) -> Planned:
    """Return the plan of a job as it stands."""
    steering = api.engine()
    with steering.db.reading() as tx:
        row = jobs.get(tx, job=job)
        seen = items_view(tx, job=steering.job(tx, job))
        spent_usd = jobs.spent(tx, job=job)
    plan, profile = Plan.model_validate(row["plan"]), Profile.model_validate(row["profile"])
    view = plan_view(plan, profile, Load(seen.count, seen.mean_chars), tiers=tuple(row["options"].get("tiers") or ()))
    shown = view.evolve(
        name=row["name"], job=job, state=row["state"], reason=row["reason"], goal=row["goal"], spent_usd=spent_usd
    )
    return Planned(shown, as_workflow(plan, goal=row["goal"], name=row["workflow"], catalogue=load_catalogue()))


def of_order(order: Order, *, catalogue: Catalogue | None = None) -> Planned:
    """Return the plan that a workflow stands for, with what it would cost for the order's items; nothing is spent."""
    workflow = order.request.workflow
    if not isinstance(workflow, Workflow):
        raise UserError("expected a workflow or a skill; the plan of a goal is written by a model")
    plan = preview(order.request.evolve(profile=order.profile))
    return Planned(plan_view(plan, order.profile, _load(order), tiers=order.request.options.tiers), workflow)


def _load(order: Order) -> Load:
    if order.source is None:
        return ASSUMED
    with order.checked() as usable:
        assert usable.source is not None
        count = count_items(usable.source, id_field=usable.id_field, limit=usable.limit)
        sizes = [len(as_text(item.input)) for item in islice(usable.items(), _LOOKED_AT)]
    return Load(count, sum(sizes) // max(1, len(sizes)))


def run_with_yes(
    order: Order, view: View, yes: Callable[[Planned], bool], *, record: Path | None = None
) -> tuple[Planned, Finished | None]:
    """Have a goal's plan written, and run it if `yes` says so of it; else the job waits for `firstline approve`.

    UserError with the reasons when no usable plan was written.
    """
    options = order.request.options.evolve(approve=True)
    asking = replace(order, request=order.request.evolve(options=options))
    with asking.checked() as usable, crew_for(usable, record) as crew:
        job = submit(usable, crew.profile)
        status = follow(job, View(quiet=view.quiet), crew.check, title="planning: ")
        if status.state is not JobState.AWAITING_APPROVAL:
            raise UserError(f"job {job} has no plan ({status.state.value}): {status.reason}")
        planned = of_job(job)
        if not yes(planned):
            return planned, None
        api.approve(job)
        status = follow(job, view, crew.check)
        audit(job, crew.check, view)
        return planned, Finished(status, api.report(job))


def approve(job: str) -> None:
    """Say yes to the plan of a job; UserError when none waits for it."""
    if not api.approve(job):
        raise UserError(f"job {job} is {api.status(job).state.value}; no plan of it waits for a yes")


def save(planned: Planned, file: Path) -> None:
    """Write a plan as a workflow file, named for the file."""
    text = as_file(planned.workflow)
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written ({error.strerror}); choose another place with --save") from None
