"""Judging: a trail is recorded in one transaction, and what is left of its batch goes on."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.subtask_names import is_referral
from firstline.orchestrator.engine.apply import Place, apply, cost_row
from firstline.orchestrator.engine.audit_draw import draw_audits
from firstline.orchestrator.engine.economics import note_outcomes
from firstline.orchestrator.engine.messages import BatchContents, see
from firstline.orchestrator.store import batches, items, subtasks
from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import ItemTrail, Trail
from firstline.schemas.states import BatchState
from firstline.schemas.verdict import Defer, DeferCause

#: Numbers from here on are for calls that were made twice: the ladder never counts so far.
REPEATED_FROM = 1000


@dataclass(frozen=True)
class Judgement:
    """What came of judging: the batches that go on, and what else is to be done."""

    going: BatchContents = field(default_factory=BatchContents)
    #: A shard was closed: the window may move on.
    closed: bool = False
    #: Why subtasks came back unanswered.
    deferred: tuple[Defer, ...] = ()
    #: What was recorded.
    attempts: tuple[Attempt, ...] = ()

    @property
    def over(self) -> Defer | None:
        """The first budget whose cap is reached, not one that only calls under way are in the way of."""
        spent = (one for one in self.deferred if one.cause is DeferCause.BUDGET and one.wait_s == 0)
        return next(spent, None)

    def because(self, cause: DeferCause) -> str | None:
        """Return the first reason of this cause."""
        return next((defer.reason for defer in self.deferred if defer.cause is cause), None)


def judge(tx: Connection, *, trail: Trail, job: Job) -> Judgement:
    """Record a trail and decide what follows; of a trail that was judged before only calls paid anew are recorded."""
    row = batches.get(tx, batch=trail.batch, lock=True)
    if row is None:
        return Judgement()
    numbers = [one.item for one in trail.items]
    items.lock(tx, job=job.id, numbers=numbers)
    new = _new_calls(tx, job=job, row=row, trail=trail)
    attempts = tuple(labelled(attempt) for one in new for attempt in one.attempts)
    items.save_attempts(tx, job=job.id, worker=trail.worker, attempts=attempts)
    if row["state"] == BatchState.JUDGED:
        items.add_costs(tx, rows=[cost_row(job.id, one.item, one.attempts) for one in new if one.attempts])
        going = [child for child in batches.children(tx, parent=trail.batch) if child["state"] == BatchState.READY]
        return Judgement(see(tx, job=job, rows=going), attempts=attempts)
    place = Place(job, trail.segment, trail.shard, trail.batch, trail.tier)
    update = apply(tx, place, numbers, trails={one.item: one for one in new})
    note_outcomes(tx, job=job, trails=new, tier=trail.tier)
    draw_audits(tx, job=job, trails={one.item: one for one in trail.items}, tier=trail.tier)
    # A trail may bring a part of its batch; the batch is judged with the last one.
    if set(row["items"]) <= set(numbers) or not subtasks.holds(tx, job=job.id, batch=trail.batch):
        batches.set_state(
            tx,
            batches=[trail.batch],
            to=BatchState.JUDGED,
            among=(BatchState.READY, BatchState.SENT, BatchState.DROPPED),
        )
    defers = [left.verdict for one in trail.items for left in one.left if isinstance(left.verdict, Defer)]
    return Judgement(update.contents, update.closed, tuple(defers), attempts)


def labelled(attempt: Attempt) -> Attempt:
    """Return the attempt with what it was for: a word on what to do about a subtask is no answer to it."""
    asked = attempt.purpose == "answer" and is_referral(attempt.step)
    return attempt.model_copy(update={"purpose": "refer"}) if asked else attempt


def _new_calls(tx: Connection, *, job: Job, row: RowMapping, trail: Trail) -> list[ItemTrail]:
    """Return the trail with those of its calls that are not on record.

    A call is known by its subtask and the time it began, whichever delivery brings it. What was asked and paid a
    second time is recorded under numbers of its own, so that the money is right.
    """
    numbers = [one.item for one in trail.items]
    known = items.calls(tx, job=job.id, numbers=numbers)
    late = row["state"] in (BatchState.JUDGED, BatchState.DROPPED)
    ended = subtasks.ended(tx, job=job.id, numbers=numbers) if late else set()
    recorded = {(item, step, began) for item, step, _, began in known}
    taken = {(item, step, n) for item, step, n, _ in known}
    repeated = Counter((item, step) for item, step, n, _ in known if n >= REPEATED_FROM)

    def numbered(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
        for attempt in attempts:
            key = (attempt.item, attempt.step)
            again = key in ended or row["state"] == BatchState.JUDGED
            if again or (*key, attempt.n) in taken:
                n = REPEATED_FROM + repeated[key]
                repeated[key] += 1
                yield attempt.model_copy(update={"n": n, "verdict": "repeated" if again else attempt.verdict})
            else:
                yield attempt

    if not known and not late:
        return list(trail.items)
    return [
        one.evolve(
            attempts=tuple(
                numbered(
                    attempt
                    for attempt in one.attempts
                    if (attempt.item, attempt.step, attempt.started_at) not in recorded
                )
            )
        )
        for one in trail.items
    ]
