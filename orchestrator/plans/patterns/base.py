"""What a step of the whole job sees, and what follows from its answer."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from firstline.config.catalogue.references import ITEMS
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.store import items, overview
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.plan import PlannedStep


@dataclass(frozen=True)
class View:
    """What a subtask is shown: fields that stand for its item, and earlier steps' answers by name."""

    input: JsonObject = field(default_factory=dict)
    settled: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """How a job goes on behind a barrier; its plan may have changed."""

    job: Job
    #: Go back to this segment.
    back_to: int | None = None
    #: The job cannot go on, and why.
    failure: str | None = None


def all_items(tx: Connection, *, job: Job, planned: PlannedStep) -> dict[str, Json]:
    """Return step -> list of {id, value} over the items that have it, for what the step waits for, and `items`."""
    found: dict[str, Json] = {name: answers(tx, job=job, step=name) for name in per_item_steps(job, planned)}
    if any(reference.split(".")[0] == ITEMS for reference in planned.step.inputs.values()):
        found[ITEMS] = [{"id": item_id, "value": value} for item_id, value in overview.results(tx, job=job.id)]
    return found


def answers(tx: Connection, *, job: Job, step: str) -> list[Json]:
    """Return the answers of a per-item step as {id, value}, in the order of the items."""
    return [{"id": item_id, "value": value} for _, item_id, value in items.outputs(tx, job=job.id, step=step)]


def per_item_steps(job: Job, planned: PlannedStep) -> list[str]:
    """Return the per-item steps that a step of the whole job waits for."""
    names = {one.step.name: one.step for one in job.plan.steps}
    return [name for name in planned.step.after if name in names and not names[name].is_barrier]
