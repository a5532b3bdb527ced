"""Messages: a batch is sent as `settle(batch)`, alone, in a chord, or in the slot of the batch that it came from."""

from collections.abc import Sequence
from dataclasses import replace

from celery import chain, chord
from celery.canvas import Signature
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.engine.messages import BatchContents, assemble_all, see
from firstline.orchestrator.store import batches
from firstline.schemas.batch import Batch
from firstline.schemas.provider_batch import ProviderBatchOrder
from firstline.schemas.states import BatchState

ATTEMPT = "firstline.attempt"
JUDGE = "firstline.judge"
START = "firstline.start"
SUBMIT = "firstline.submit"
RELEASE = "firstline.release"
SHARD = "firstline.shard"
BULK = "firstline.bulk"
BULKED = "firstline.bulked"
#: What the arguments of a message for the orchestrators are, in their order.
_IDS = ("job", "segment", "shard")
#: What publishing raises when Redis cannot be reached.
UNREACHABLE = (RedisError, OperationalError, OSError)


def settle(engine: Context, batch: Batch, *, priority: int) -> Signature:
    """Return `attempt` on the tier's queue, then `judge` on the orchestrators'."""
    attempt = engine.app.signature(
        ATTEMPT,
        args=(batch.model_dump_json(),),
        queue=engine.settings.keys.queue(batch.tier.queue),
        priority=priority,
        argsrepr=f"({batch.label})",
        ignore_result=True,
    )
    judge = engine.app.signature(
        JUDGE,
        queue=engine.orchestrators,
        priority=priority,
        # Whoever publishes what leaves a result subscribes to it. A chord counts its members without results.
        ignore_result=True,
        argsrepr=f"({batch.label})",
    )
    return chain(attempt, judge, app=engine.app)


def provider_batch(engine: Context, order: ProviderBatchOrder) -> Signature:
    """Return an act on a provider batch on its tier's queue, and then its news for the orchestrators."""
    act = engine.app.signature(
        BULK,
        args=(order.model_dump_json(),),
        queue=engine.settings.keys.queue(order.tier.queue),
        argsrepr=f"({order.label})",
        ignore_result=True,
    )
    told = engine.app.signature(
        BULKED, queue=engine.orchestrators, ignore_result=True, argsrepr=f"(job={order.job} provider_batch={order.id})"
    )
    return chain(act, told, app=engine.app)


def assembled(tx: Connection, *, job: Job, ids: Sequence[str]) -> list[Batch]:
    """Return the messages of batches that are still wanted; mark the others as judged, for nothing is left of them."""
    if not ids:
        return []
    rows = [row for row in batches.these(tx, ids=ids) if row["state"] in (BatchState.READY, BatchState.SENT)]
    return made_just_now(tx, job=job, contents=see(tx, job=job, rows=rows))


def made_just_now(tx: Connection, *, job: Job, contents: BatchContents) -> list[Batch]:
    """Return the messages of batches that this transaction has read or made, as `assembled` does."""
    rows = [row for row in contents.rows if row["state"] in (BatchState.READY, BatchState.SENT)]
    found = assemble_all(tx, job=job, contents=replace(contents, rows=rows))
    nothing_left = {row["id"] for row in rows} - {made.id for made in found}
    batches.set_state(tx, batches=nothing_left, to=BatchState.JUDGED, among=(BatchState.READY, BatchState.SENT))
    return found


def send_free(engine: Context, *, job: Job, made: Sequence[Batch]) -> None:
    """Send batches outside any chord, and note that they were sent."""
    for batch in made:
        settle(engine, batch, priority=job.priority).apply_async()
    sent(engine, [batch.id for batch in made])


def send_shard(engine: Context, *, job: Job, segment: int, shard: int, made: Sequence[Batch]) -> None:
    """Send a shard's batches as a chord whose callback moves the window on.

    A producer sends them one by one: a chord waits for a Redis that is away, and the judges move the window too.
    """
    if engine.producer and len(made) > 1:
        send_free(engine, job=job, made=made)
        return
    callback = task(engine, RELEASE, job.id, segment, shard, priority=job.priority)
    header = [settle(engine, batch, priority=job.priority) for batch in made]
    if len(header) == 1:
        chain(header[0], callback, app=engine.app).apply_async()
    else:
        chord(header, callback, app=engine.app).apply_async()
    sent(engine, [batch.id for batch in made])


def sent(engine: Context, ids: Sequence[str]) -> None:
    """Note that batches were published; until then they are the outbox."""
    with engine.db.writing() as tx:
        batches.set_state(tx, batches=ids, to=BatchState.SENT, among=(BatchState.READY, BatchState.SENT))


def task(engine: Context, name: str, *arguments: str | int, priority: int = 0) -> Signature:
    """Return a message for the orchestrators, of ids only."""
    return engine.app.signature(
        name,
        args=arguments,
        queue=engine.orchestrators,
        priority=priority,
        immutable=True,
        ignore_result=True,
        argsrepr=f"({' '.join(f'{what}={value}' for what, value in zip(_IDS, arguments, strict=False))})",
    )
