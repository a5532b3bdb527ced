"""The workers' Celery task: rebuilds its batch, runs it on the loop, answers a trail."""

import logging
from typing import Protocol, assert_never

from celery import Celery
from pydantic import ValidationError
from redis.exceptions import RedisError

from firstline.schemas.batch import Batch, Trail
from firstline.schemas.tier import TierKind
from firstline.workers.durability.claims import Claim, claim, hand_on, judged
from firstline.workers.durability.unread import batch_of, note_of
from firstline.workers.execution.batch_run import run_batch
from firstline.workers.execution.provider_batch import carry_message
from firstline.workers.execution.tracing import batch_span
from firstline.workers.loop.event_loop import Loop
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)
ATTEMPT = "firstline.attempt"
BULK = "firstline.bulk"


class Process(Protocol):
    """What the task needs of its process."""

    loop: Loop
    worker: Worker


def register(app: Celery, process: Process) -> None:
    """Put the task on an app."""

    @app.task(name=ATTEMPT, ignore_result=True)  # type: ignore[untyped-decorator]
    def attempt_task(batch: str) -> str | None:
        return attempt(process, batch)

    @app.task(name=BULK, ignore_result=True)  # type: ignore[untyped-decorator]
    def bulk_task(order: str) -> str | None:
        return process.loop.run(carry_message(order, process.worker))


def attempt(process: Process, message: str) -> str | None:
    """Return the trail of a batch as JSON; None for a repetition, or for what cannot be read or dealt with.

    The sweep sends the latter again: another worker, or this one updated, may read it. It gives up what nobody can.
    """
    try:
        trail = process.loop.run(_answer(process.worker, Batch.model_validate_json(message)))
        return None if trail is None else trail.model_dump_json()
    except (RedisError, OSError):
        raise
    except Exception as error:
        _log.error("batch.unreadable", exc_info=not isinstance(error, ValidationError))
        if (batch := batch_of(message)) is not None:
            process.loop.run(_note_unread(process.worker, batch, error))
    return None


async def _note_unread(worker: Worker, batch: str, error: Exception) -> None:
    await worker.client.eval(*note_of(worker.keys, batch, error))


async def _answer(worker: Worker, batch: Batch) -> Trail | None:
    if worker.holds(batch.id):
        return None
    with worker.tracking(batch):
        said = await claim(
            worker.client, worker.keys, batch=batch.id, job=batch.job, worker=worker.name, waits=worker.works
        )
        match said:
            case Claim.HELD | Claim.JUDGED:
                _log.info("batch.repeated", extra={"batch": batch.id, "claim": said.value})
                return None
            case Claim.CANCELLED:
                worker.cancel(batch.job)
            case Claim.TAKEN | Claim.RESUMED:
                worker.allow(batch.job)
            case _:
                assert_never(said)
        # What came back from a Batch API is there before the first delivery.
        resumed = said is not Claim.TAKEN or batch.tier.kind is TierKind.BATCH
        with batch_span(worker.tracer, batch):
            trail = worker.recent.of(batch.id) or await run_batch(batch, worker, resumed=resumed)
        if not worker.gave_away(batch.id):
            worker.recent.keep(trail)
            await hand_on(worker.client, worker.keys, batch=batch.id, waits=worker.works)
            return trail
    # What was paid here is told when it cannot be taken for the batch's answer any more. Until then the batch is none
    # of this worker's: it may be given to anyone, and to this one again.
    is_late = await judged(worker.client, worker.keys, batch=batch.id, waits=worker.works)
    return trail if is_late else None
