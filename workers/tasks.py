"""The workers' Celery task: rebuilds its batch, runs it on the loop, answers a trail."""

import logging
from typing import Protocol

from celery import Celery
from pydantic import ValidationError

from schemas.batch import MESSAGE_VERSION, Batch, ItemTrail, Left, Trail
from schemas.verdict import Defer, DeferCause
from workers.claims import Claim, claim, hand_on
from workers.loop import Loop
from workers.run import run_batch
from workers.worker import Worker

_log = logging.getLogger(__name__)
ATTEMPT = "firstline.attempt"


class Process(Protocol):
    """What the task needs of its process."""

    loop: Loop
    worker: Worker


def register(app: Celery, process: Process) -> None:
    """Put the task on an app."""

    @app.task(name=ATTEMPT, ignore_result=True)  # type: ignore[untyped-decorator]
    def attempt_task(batch: str) -> str | None:
        return attempt(process, batch)


def attempt(process: Process, message: str) -> str | None:
    """Return the trail of a batch as JSON; None for a delivery that is a repetition."""
    try:
        batch = Batch.model_validate_json(message)
    except ValidationError:
        # Written by newer code: another worker, or this one once updated, will understand it.
        _log.error("batch.unreadable", extra={"expected_version": MESSAGE_VERSION})
        return None
    trail = process.loop.run(_answer(process.worker, batch))
    return None if trail is None else trail.model_dump_json()


async def _answer(worker: Worker, batch: Batch) -> Trail | None:
    if worker.holds(batch.id):
        return None
    if worker.stopping:
        return _handed_back(worker, batch)
    said = await claim(worker.client, worker.keys, batch=batch.id, worker=worker.name)
    if said in (Claim.HELD, Claim.JUDGED):
        _log.info("batch.repeated", extra={"batch": batch.id, "claim": said.value})
        return None
    trail = await run_batch(batch, worker, resumed=said is Claim.RESUMED)
    await hand_on(worker.client, worker.keys, batch=batch.id)
    return trail


def _handed_back(worker: Worker, batch: Batch) -> Trail:
    stopped = Defer(cause=DeferCause.STOPPING, wait_s=0, reason="its worker was stopped")
    return Trail(
        batch=batch.id,
        job=batch.job,
        segment=batch.segment,
        shard=batch.shard,
        tier=batch.tier.name,
        worker=worker.name,
        items=tuple(
            ItemTrail(
                item=work.item,
                left=tuple(
                    Left(step=todo.step, n=todo.n, used=todo.used, verdict=stopped, feedback=todo.feedback)
                    for todo in work.todo
                ),
            )
            for work in batch.work
        ),
    )
