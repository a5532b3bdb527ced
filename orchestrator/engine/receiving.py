"""Items as they come in: named, told apart from those seen before, and written in chunks."""

import math
import time
from collections.abc import Iterable
from typing import Any

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.segments import open_segment, shard_of, shard_rows
from firstline.orchestrator.store import batches, retention
from firstline.orchestrator.store import items as item_store
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.submission.item_reader import InputItem, as_item
from firstline.orchestrator.submission.quotas import too_many_items
from firstline.schemas.base import JsonObject, digest
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState, JobState

#: Seconds after which a slow producer's items are written although they are few: a sign of its life.
_WRITE_EVERY_S = 10.0
#: Items of one transaction.
_CHUNK = 1000


#: Identical items are found among the first so many; beyond that memory would grow with the input.
_REMEMBERED = 200_000


def receive(
    steering: Context, job: str, given: Iterable[InputItem | JsonObject], *, dedupe: bool, room: float = math.inf
) -> int:
    """Write items as they come, then their shards; return how many items there were.

    OverQuotaError: there are more than there is room for; none is left.
    """
    seen: dict[str, int] = {}
    open_items: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    count = 0
    written_at = time.monotonic()
    try:
        for n, one in enumerate(given):
            if n >= room:
                raise too_many_items(room)
            item = as_item(one, n)
            same_as = _same_as(seen, item, n) if dedupe else None
            rows.append(_item_row(job, n, item, same_as))
            if item.error is None and same_as is None:
                open_items[shard_of(n)] = open_items.get(shard_of(n), 0) + 1
            count = n + 1
            if len(rows) == _CHUNK or time.monotonic() - written_at > _WRITE_EVERY_S:
                _write(steering, job, rows)
                written_at = time.monotonic()
                rows = []
    except BaseException:
        # Nobody was told its id, nothing of it was sent: what is refused leaves no job behind.
        with steering.db.writing() as tx:
            retention.remove(tx, job=job)
        raise
    with steering.db.writing() as tx:
        item_store.insert(tx, rows=rows)
        plan = steering.job(tx, job).plan
        if plan.segment(0)[0].step.is_barrier:
            open_segment(tx, job=steering.job(tx, job), segment=0)
        else:
            batches.insert_shards(tx, rows=shard_rows(job=job, segment=0, pending=sorted(open_items.items())))
        taken = job_store.move(tx, job=job, to=JobState.SUBMITTED, among=(JobState.RECEIVING,), items=count)
    if not taken:
        with steering.db.reading() as tx:
            told = job_store.status(tx, job=job)
        raise UserError(f"job {job}: {told.reason}")
    return count


def _same_as(seen: dict[str, int], item: InputItem, n: int) -> int | None:
    if item.error is not None:
        return None
    key = digest({name: value for name, value in item.input.items() if name != "id"})
    if key in seen:
        return seen[key]
    if len(seen) < _REMEMBERED:
        seen[key] = n
    return None


def _item_row(job: str, n: int, item: InputItem, same_as: int | None) -> dict[str, Any]:
    failed = item.error is not None
    return {
        "job": job,
        "n": n,
        "item_id": item.item_id,
        "input": item.input,
        "state": ItemState.FAILED.value if failed else ItemState.PENDING.value,
        "reason": item.error,
        "same_as": same_as,
        "segment": -1 if failed else 0,
        "attempts": 0,
        "cost_usd": 0.0,
        "unpriced": 0,
        "ended_at": now() if failed else None,
    }


def _write(steering: Context, job: str, rows: list[dict[str, Any]]) -> None:
    with steering.db.writing() as tx:
        item_store.insert(tx, rows=rows)
        job_store.change(tx, job=job, heard_at=job_store.clock(tx))
