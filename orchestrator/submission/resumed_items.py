"""Whether a job that is gone on with was made of the items that are given again."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from firstline.orchestrator.core.sharding import most_out
from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store import views
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError

_AT_ONCE = 1000


def expect_same(db: Database, job: str, items: Iterable[InputItem]) -> None:
    """Raise a UserError with the first item that is not the job's own, by id and content, in their order."""
    for n, (item, known) in enumerate(zip_longest(items, _stored(db, job)), 1):
        if item is None or known is None or (item.item_id, item.input) != known:
            which = item.item_id if item else known and known[0]
            raise UserError(
                f"job {job} was made of other items: item {n} ('{which}') is not the same; leave out the input to go "
                "on with the job's own, or run without --resume"
            )


def _stored(db: Database, job: str) -> Iterator[tuple[str, JsonObject]]:
    after = -1
    with db.reading() as tx:
        most = most_out(job_store.light(tx, job=job)["shard_items"]) or _AT_ONCE
    while True:
        with db.reading() as tx:
            rows = views.stream(tx, job=job, after=after, limit=most)
        if not rows:
            return
        yield from ((row["item_id"], row["input"]) for row in rows)
        after = rows[-1]["n"]
