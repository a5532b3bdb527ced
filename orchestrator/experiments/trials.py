"""Trials: the same items on one tier alone, as ordinary jobs; calibrations and comparisons rest on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from firstline.orchestrator import api
from firstline.orchestrator.run.runner import Crew, Interrupted, View, follow
from firstline.orchestrator.store import jobs
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, JobState
from firstline.schemas.plan import Quality, Workflow
from firstline.schemas.tier import Profile

#: The same question asked again within this time uses the answers there are; later it is asked anew: models change.
ANSWERS_LAST = timedelta(days=1)


@dataclass
class Trials:
    """The jobs of one calibration, comparison or improvement: one after the other, under the order's one budget."""

    order: Order
    crew: Crew
    view: View
    #: What the jobs are for, as in `Options.purpose`.
    purpose: str
    spent_usd: float = 0.0

    def run(self, workflow: Workflow, items: Sequence[InputItem], *, tier: str, title: str = "") -> str:
        """Have items answered on one tier alone and return the job; what an earlier run left unfinished goes on.

        Raises Interrupted when the job paused (its budget is used up, a person stopped it): the same command goes on.
        """
        key, known = _key(self._question(workflow, items, tier))
        job = known or self._submit(workflow, items, tier, key)
        self.view.show_page(job)
        if api.status(job).state is not JobState.DONE:
            self._finish(job, title or f"{tier}: ")
        with api.engine().db.reading() as tx:
            self.spent_usd += jobs.spent(tx, job=job)
        return job

    def _question(self, workflow: Workflow, items: Sequence[InputItem], tier: str) -> str:
        asked = [[item.item_id, item.input] for item in items]
        what = [workflow.model_dump(mode="json"), models_of(self.crew.profile, tier), asked]
        return f"{self.purpose}:{digest(what, length=32)}"

    def _submit(self, workflow: Workflow, items: Sequence[InputItem], tier: str, key: str) -> str:
        request = trial_request(self.order, workflow, self.crew, tier=tier, purpose=self.purpose, key=key)
        capped = request.options.evolve(budget_usd=self._left_usd())
        return api.submit(request.evolve(options=capped), items, folders=self.order.functions)

    def _left_usd(self) -> float | None:
        return left_of(self.order.request.options.budget_usd, self.spent_usd)

    def _finish(self, job: str, title: str) -> None:
        self._wake(job)
        status = follow(job, View(quiet=self.view.quiet), self.crew.check, title=title)
        if status.state is not JobState.DONE:
            why = f" ({status.reason})" if status.reason else ""
            raise Interrupted(
                f"{title}job {job} is {status.state.value}{why}; what was answered is kept: the same command goes on, "
                "with a larger --budget if that is what stopped it",
                exit_code=1,
            )

    def _wake(self, job: str) -> None:
        status = api.status(job)
        if status.state is not JobState.PAUSED:
            return
        more_usd = (self._left_usd() or 0.0) - (status.budget_usd or 0.0)
        if status.budget_usd is not None and more_usd > 0:
            api.raise_budget(job, more_usd)
        else:
            api.resume(job)


def trial_request(
    order: Order, workflow: Workflow, crew: Crew, *, tier: str, purpose: str, key: str | None = None
) -> JobRequest:
    """Return the request for an order's work on one tier alone, under the order's budget."""
    options = order.request.options.evolve(
        tiers=(tier,), purpose=purpose, dedupe=False, cache=False, webhook_url=None, approve=False
    )
    name = f"{purpose} {workflow.name} on {tier}"
    return JobRequest(
        workflow=workflow,
        profile=crew.profile,
        name=name,
        options=options,
        idempotency_key=key,
        # Planners within it may choose what whoever asks for it was granted.
        role=order.request.role,
    )


def models_of(profile: Profile, tier: str) -> list[str]:
    """Return the names of a tier's models."""
    found = profile.tier(tier)
    return [model.name for model in found.models] if found else []


def left_of(budget_usd: float | None, spent_usd: float) -> float | None:
    """Return what earlier jobs left of a budget, None where there is none; UserError when nothing is left."""
    if budget_usd is None:
        return None
    if budget_usd <= spent_usd:
        raise UserError(
            f"the budget of ${budget_usd:g} is used up (${spent_usd:.4f} spent); what was answered is kept: give the "
            "same command a larger --budget"
        )
    return budget_usd - spent_usd


def _key(question: str) -> tuple[str, str | None]:
    """Return the key to ask a question under, and the job that answers it already or is about to."""
    number = 0
    with api.engine().db.reading() as tx:
        while True:
            key = f"{question}:{number}"
            job = jobs.with_key(tx, idempotency_key=key)
            if job is None or _lasts(tx, job):
                return key, job
            number += 1


def _lasts(tx: Connection, job: str) -> bool:
    row = jobs.get(tx, job=job)
    state = JobState(row["state"])
    if not state.ended:
        return True
    # What came to nothing is asked anew: the next answer may be another.
    answered = state is JobState.DONE and not jobs.status(tx, job=job).came_to_nothing
    return answered and now() - row["created_at"] < ANSWERS_LAST


def with_gold(quality: Quality | None, gold: str | None, field: str | None, compare: str | None) -> Quality | None:
    """Return a workflow's quality with what the command line says of gold laid over it."""
    if gold is None:
        return quality
    base = quality or Quality(gold=gold)
    return base.evolve(gold=gold, field=field or base.field, compare=compare or base.compare)
