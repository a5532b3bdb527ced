"""A batch in a worker: every item goes through as many steps as this tier can answer, and waits for no neighbour."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import Batch, ItemTrail, Left, Settled, Todo, Trail, Work
from firstline.schemas.plan import PlannedStep
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.execution.answering import answer
from firstline.workers.execution.packer import Packer
from firstline.workers.execution.subtask import Outcome, Subtask
from firstline.workers.rules.step_graph import applies, ready
from firstline.workers.worker import Worker


async def run_batch(batch: Batch, worker: Worker, *, resumed: bool = False) -> Trail:
    """Return the trail of a batch; only cancelling the whole worker raises."""
    paid = await worker.paid.of(batch.id) if resumed else {}
    holding = _Holding(batch, worker, Packer(batch, worker), paid)
    items = await asyncio.gather(*(_run_item(holding, work) for work in batch.work))
    await worker.paid.written()
    await worker.cache.written()
    return Trail(
        batch=batch.id,
        job=batch.job,
        segment=batch.segment,
        shard=batch.shard,
        tier=batch.tier.name,
        worker=worker.name,
        items=tuple(items),
    )


@dataclass(frozen=True, slots=True)
class _Holding:
    """A batch, and all that its items share."""

    batch: Batch
    worker: Worker
    packer: Packer
    #: Answers of an earlier delivery, already paid for.
    paid: Mapping[str, PaidAnswer]


@dataclass
class _Journey:
    """One item's way through the steps of a segment on one tier."""

    batch: Batch
    work: Work
    values: dict[str, Json]
    skipped: set[str]
    ended: set[str]
    begun: set[str]
    attempts: list[Attempt] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    @property
    def trail(self) -> ItemTrail:
        return ItemTrail(
            item=self.work.item,
            attempts=tuple(self.attempts),
            settled=tuple(self.settled),
            left=tuple(self.left),
        )

    def settle(self, settled: Settled) -> None:
        self.settled.append(settled)
        self.ended.add(settled.step)
        if settled.skipped:
            self.skipped.add(settled.step)
        else:
            self.values[settled.step] = settled.value

    def take(self, outcome: Outcome) -> None:
        self.attempts.extend(outcome.attempts)
        match outcome.end:
            case Settled() as settled:
                self.settle(settled)
            case Left() as left:
                self.left.append(left)


async def _run_item(holding: _Holding, work: Work) -> ItemTrail:
    ended = {*work.settled, *work.skipped}
    journey = _Journey(holding.batch, work, dict(work.settled), set(work.skipped), ended, set(work.away))
    by_name = {planned.step.name: planned for planned in holding.batch.steps}
    waiting = [(by_name[todo.step], todo) for todo in work.todo]
    while waiting:
        journey.begun.update(planned.step.name for planned, _ in waiting)
        if len(waiting) == 1:
            # A task of its own would cost a turn of the loop.
            journey.take(await _ask(holding, journey, *waiting[0]))
        else:
            for outcome in await asyncio.gather(*(_ask(holding, journey, *pair) for pair in waiting)):
                journey.take(outcome)
        waiting = _next_here(journey)
    return journey.trail


def _next_here(journey: _Journey) -> list[tuple[PlannedStep, Todo]]:
    """Return what the item can take next on this tier; steps that do not apply are settled as skipped."""
    if len(journey.batch.steps) == 1:
        return []
    found: list[tuple[PlannedStep, Todo]] = []
    while True:
        skipped = False
        for planned in ready(journey.batch.steps, ended=journey.ended, begun=journey.begun):
            if not applies(planned, item=journey.work.input, settled=journey.values, skipped=journey.skipped):
                journey.settle(Settled(step=planned.step.name, n=0, value=None, skipped=True))
                skipped = True
            elif planned.start_of(journey.work.item, journey.batch.ladder) == journey.batch.tier.name:
                n = journey.work.asked.get(planned.step.name, 0)
                found.append((planned, Todo(step=planned.step.name, n=n)))
                journey.begun.add(planned.step.name)
        if not skipped:
            return found


async def _ask(holding: _Holding, journey: _Journey, planned: PlannedStep, todo: Todo) -> Outcome:
    subtask = Subtask(holding.batch, journey.work, planned, todo, journey.values, holding.paid)
    return await answer(subtask, holding.worker, holding.packer)
