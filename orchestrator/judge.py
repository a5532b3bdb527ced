"""Judging: a trail is recorded in one transaction, and what is left of its batch goes on."""

from dataclasses import dataclass

from sqlalchemy import Connection

from orchestrator.conclude import conclude, cost_row
from orchestrator.engine import Job
from orchestrator.store import batches, items
from schemas.batch import Trail
from schemas.verdict import Defer, DeferCause


@dataclass(frozen=True)
class Judged:
    """What came of judging: the batches that go on, and what else is to be done."""

    batches: tuple[str, ...] = ()
    #: A shard was closed: the window may move on.
    closed: bool = False
    #: Why subtasks came back unanswered.
    deferred: tuple[Defer, ...] = ()

    def because(self, cause: DeferCause) -> str | None:
        """Return the first reason of this cause; for a budget only if the cap is reached, not while calls are out."""
        for defer in self.deferred:
            if defer.cause is cause and (cause is not DeferCause.BUDGET or defer.wait_s == 0):
                return defer.reason
        return None


def judge(tx: Connection, *, trail: Trail, job: Job) -> Judged:
    """Record a trail and decide what follows; a trail that was judged before changes nothing but the money."""
    row = batches.get(tx, batch=trail.batch, lock=True)
    if row is None:
        return Judged()
    if row["state"] == "judged":
        _record_repetition(tx, job=job, trail=trail)
        going = [child["id"] for child in batches.children(tx, parent=trail.batch) if child["state"] == "ready"]
        return Judged(tuple(going))
    attempts = [attempt for one in trail.items for attempt in one.attempts]
    items.save_attempts(tx, job=job.id, worker=trail.worker, attempts=attempts)
    made, closed = conclude(
        tx,
        job=job,
        segment=trail.segment,
        shard=trail.shard,
        numbers=[one.item for one in trail.items],
        parent=trail.batch,
        trails={one.item: one for one in trail.items},
        tier=trail.tier,
    )
    batches.set_state(tx, batches=[trail.batch], to="judged", among=("ready", "sent", "dropped"))
    defers = [left.verdict for one in trail.items for left in one.left if isinstance(left.verdict, Defer)]
    return Judged(tuple(made), closed, tuple(defers))


def _record_repetition(tx: Connection, *, job: Job, trail: Trail) -> None:
    """Record calls that were made, and paid, a second time: under numbers of their own, so that the money is right."""
    for one in trail.items:
        known = {(row["step"], row["n"]): row for row in items.attempts(tx, job=job.id, item=one.item)}
        paid = {(row["step"], row["started_at"]) for row in known.values()}
        again = [
            attempt.model_copy(update={"n": 1000 + len(known) + index, "verdict": "repeated"})
            for index, attempt in enumerate(one.attempts)
            if (attempt.step, attempt.started_at) not in paid
        ]
        if again:
            items.save_attempts(tx, job=job.id, worker=trail.worker, attempts=again)
            items.add_costs(tx, rows=[cost_row(job.id, one.item, again)])
