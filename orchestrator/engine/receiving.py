"""Items as they come in: named, told apart from those seen before, and written in chunks."""

import math
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.sharding import SHARD_ITEMS, Weights, shard_of
from firstline.orchestrator.engine.segments import open_segment, shard_rows
from firstline.orchestrator.store import batches, retention, takeovers
from firstline.orchestrator.store import items as item_store
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.submission.earlier_answers import EarlierAnswers, content_of
from firstline.orchestrator.submission.item_reader import InputItem, as_item
from firstline.orchestrator.submission.quotas import too_many_items
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState, JobState

#: Seconds after which a slow producer's items are written although they are few: a sign of its life.
_WRITE_EVERY_S = 10.0
#: Items of one transaction, and bytes of input after which it has enough.
_CHUNK = 1000
_CHUNK_BYTES = 16 * 2**20


#: Identical items are found among the first so many; beyond that memory would grow with the input.
_REMEMBERED = 200_000


def receive(
    steering: Context,
    job: str,
    given: Iterable[InputItem | JsonObject],
    *,
    dedupe: bool,
    room: float = math.inf,
    earlier: EarlierAnswers | None = None,
) -> int:
    """Write items as they come, then their shards; return how many items there were.

    With `earlier` answers, items that have one are settled by it. OverQuotaError: there are more than there is
    room for; none is left.
    """
    seen: dict[str, int] = {}
    open_items = Counter[int]()
    rows: list[dict[str, Any]] = []
    weights, held = Weights(), 0
    count = 0
    written_at = time.monotonic()
    try:
        for n, one in enumerate(given):
            if n >= room:
                raise too_many_items(room)
            item = as_item(one, n)
            content = content_of(item.input) if item.error is None else None
            same_as = _same_as(seen, content, n) if dedupe and content else None
            rows.append(_item_row(job, n, item, content, same_as))
            size = len(to_json(item.input))
            weights.add(n, size)
            held += size
            count = n + 1
            if len(rows) == _CHUNK or held >= _CHUNK_BYTES or time.monotonic() - written_at > _WRITE_EVERY_S:
                with steering.db.writing() as tx:
                    open_items.update(map(shard_of, _write(tx, job, rows, earlier)))
                    job_store.change(tx, job=job, heard_at=job_store.clock(tx))
                written_at = time.monotonic()
                rows, held = [], 0
    except BaseException:
        # Nobody was told its id, nothing of it was sent: what is refused leaves no job behind.
        with steering.db.writing() as tx:
            retention.remove(tx, job=job)
        raise
    with steering.db.writing() as tx:
        open_items.update(map(shard_of, _write(tx, job, rows, earlier)))
        plan = steering.job(tx, job).plan
        size = weights.shard_items
        if size < SHARD_ITEMS:
            job_store.change(tx, job=job, shard_items=size)
        if size < SHARD_ITEMS or plan.segment(0)[0].step.is_barrier:
            open_segment(tx, job=steering.job(tx, job), segment=0)
        else:
            batches.insert_shards(tx, rows=shard_rows(job=job, segment=0, pending=sorted(open_items.items())))
        taken = job_store.move(tx, job=job, to=JobState.SUBMITTED, among=(JobState.RECEIVING,), items=count)
    if not taken:
        with steering.db.reading() as tx:
            told = job_store.status(tx, job=job)
        raise UserError(f"job {job}: {told.reason}")
    return count


def _same_as(seen: dict[str, int], content: str, n: int) -> int | None:
    if content in seen:
        return seen[content]
    if len(seen) < _REMEMBERED:
        seen[content] = n
    return None


def _item_row(job: str, n: int, item: InputItem, content: str | None, same_as: int | None) -> dict[str, Any]:
    failed = item.error is not None
    return {
        "job": job,
        "n": n,
        "item_id": item.item_id,
        "input": item.input,
        "state": ItemState.FAILED.value if failed else ItemState.PENDING.value,
        "reason": item.error,
        "same_as": same_as,
        "digest": content,
        "segment": -1 if failed else 0,
        "attempts": 0,
        "cost_usd": 0.0,
        "unpriced": 0,
        "ended_at": now() if failed else None,
    }


def _write(tx: Connection, job: str, rows: list[dict[str, Any]], earlier: EarlierAnswers | None) -> list[int]:
    """Write items, settle those that have an earlier answer, and return the numbers of those that are to be asked."""
    item_store.insert(tx, rows=rows)
    asked = {row["n"]: row["digest"] for row in rows if row["reason"] is None and row["same_as"] is None}
    if earlier is None or not asked:
        return list(asked)
    known = earlier.find(tx, list(asked.values()))
    takeovers.take(tx, job=job, found=[(n, *known[content]) for n, content in asked.items() if content in known])
    return [n for n, content in asked.items() if content not in known]
