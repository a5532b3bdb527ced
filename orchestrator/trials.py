"""Trials: the same items on one tier alone, as ordinary jobs; calibrations and comparisons rest on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import api
from orchestrator.inputs import InputItem
from orchestrator.order import Order
from orchestrator.runner import Crew, Interrupted, View, follow
from schemas.base import digest
from schemas.errors import UserError
from schemas.job import JobRequest, JobState
from schemas.plan import Workflow


@dataclass(frozen=True)
class Trial:
    """One job of a trial."""

    request: JobRequest
    items: Sequence[InputItem]
    folders: tuple[Path, ...] = ()
    #: Shown before its progress.
    title: str = ""


def run_trial(trial: Trial, crew: Crew, view: View) -> str:
    """Run a trial to its end and return its job; one that an earlier run left unfinished goes on.

    Raises Interrupted when it paused (its budget is used up, a person stopped it): the same command goes on.
    """
    job = api.submit(trial.request, trial.items, folders=trial.folders)
    _wake(job, trial.request.options.budget_usd)
    status = follow(job, View(quiet=view.quiet), crew.check, title=trial.title)
    if status.state is not JobState.DONE:
        why = status.reason or status.state.value
        text = f"{trial.title}job {job} is {status.state.value} ({why}); what was answered is kept: the same command "
        raise Interrupted(f"{text}goes on, with a larger --budget if that is what stopped it", exit_code=1)
    return job


def _wake(job: str, budget_usd: float | None) -> None:
    status = api.status(job)
    if status.state is not JobState.PAUSED:
        return
    more_usd = (budget_usd or 0.0) - (status.budget_usd or 0.0)
    if status.budget_usd is not None and more_usd > 0:
        api.raise_budget(job, more_usd)
    else:
        api.resume(job)


def trial_request(
    order: Order, workflow: Workflow, crew: Crew, *, tier: str, purpose: str, key: str | None = None
) -> JobRequest:
    """Return the request for an order's work on one tier alone, under the order's budget."""
    options = order.request.options.evolve(
        tiers=(tier,), purpose=purpose, dedupe=False, webhook_url=None, approve=False, cache=False
    )
    name = f"{purpose} {workflow.name} on {tier}"
    return JobRequest(workflow=workflow, profile=crew.profile, name=name, options=options, idempotency_key=key)


def left_of(budget_usd: float | None, spent_usd: float) -> float | None:
    """Return what a budget leaves after a first job; UserError when nothing is left for the second."""
    if budget_usd is None:
        return None
    if budget_usd <= spent_usd:
        raise UserError(
            f"the budget of ${budget_usd:g} is used up (${spent_usd:.4f} spent); what was answered is kept: give the "
            "same command a larger --budget"
        )
    return budget_usd - spent_usd


def trial_key(purpose: str, workflow: Workflow, models: Iterable[str], items: Sequence[InputItem]) -> str:
    """Return the idempotency key of a trial: the same work on the same items by the same models is paid for once."""
    asked = [[item.item_id, item.input] for item in items]
    what = [workflow.model_dump(mode="json"), list(models), asked]
    return f"{purpose}:{digest(what, length=32)}"
