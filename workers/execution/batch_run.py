"""A batch in a worker: every item goes through as many steps as this tier can answer, and waits for no neighbour."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import Batch, ItemTrail, Left, Settled, Todo, Trail, Work
from firstline.schemas.plan import PlannedStep, StepKind, named
from firstline.schemas.tier import TierKind
from firstline.schemas.verdict import Accept, Parked, Reject
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.execution.answering import answer
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.packer import Packer
from firstline.workers.execution.student_step import answer_by_student
from firstline.workers.execution.subtask import Outcome, Subtask
from firstline.workers.execution.tool_rounds import offered
from firstline.workers.execution.tool_step import answer_by_tool
from firstline.workers.rules.step_graph import applies, gathered, ready, unfolded
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.tools.toolbox import Tools
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)


async def run_batch(batch: Batch, worker: Worker, *, resumed: bool = False) -> Trail:
    """Return the trail of a batch; only cancelling the whole worker raises."""
    paid = await worker.paid.of(batch.id) if resumed else {}
    holding = _Holding(batch, worker, Packer(batch, worker), paid, await offered(batch, worker))
    # Those at the same step follow each other, so that what they share is read from a provider's cache while it lives.
    order = sorted(batch.work, key=lambda work: work.todo[0].step)
    trails = await asyncio.gather(*(_run_item(holding, work) for work in order))
    places = {id(work): place for place, work in enumerate(batch.work)}
    items = [trail for _, trail in sorted(zip(order, trails, strict=True), key=lambda pair: places[id(pair[0])])]
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
    #: Tools that skills offer, by skill.
    offered: Mapping[str, Tools | Reject]


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
    waiting: Sequence[Todo] = work.todo
    while waiting:
        journey.begun.update(todo.step for todo in waiting)
        if len(waiting) == 1:
            # A task of its own would cost a turn of the loop.
            journey.take(await _ask(holding, journey, waiting[0]))
        else:
            for outcome in await asyncio.gather(*(_ask(holding, journey, todo) for todo in waiting)):
                journey.take(outcome)
        waiting = _next_here(journey)
    return journey.trail


def _next_here(journey: _Journey) -> list[Todo]:
    """Return what the item can take next on this tier; steps that do not apply are settled as skipped."""
    if len(journey.batch.steps) == 1 and journey.batch.steps[0].step.for_each is None:
        return []
    found: list[Todo] = []
    while True:
        skipped = False
        for planned in _turn(journey):
            if planned.step.for_each is not None:
                skipped = _gather(journey, planned) or skipped
            elif not applies(planned, item=journey.work.input, settled=journey.values, skipped=journey.skipped):
                journey.settle(Settled(step=planned.step.name, n=0, value=None, skipped=True))
                skipped = True
            elif planned.start_of(journey.work.item, journey.batch.ladder) == journey.batch.tier.name:
                n = journey.work.asked.get(planned.step.name, 0)
                found.append(Todo(step=planned.step.name, n=n))
                journey.begun.add(planned.step.name)
        if not skipped:
            return found


def _turn(journey: _Journey) -> list[PlannedStep]:
    """Return the steps whose turn has come: steps over a list that can be closed or do not apply, and all others."""
    steps, item, values = journey.batch.steps, journey.work.input, journey.values
    if all(one.step.for_each is None for one in steps):
        return ready(steps, ended=journey.ended, begun=journey.begun)
    listed = [one for one in ready(steps, ended=journey.ended, begun=()) if one.step.for_each is not None]
    applying = [one for one in listed if applies(one, item=item, settled=values, skipped=journey.skipped)]
    asked = [one for one in steps if one.step.for_each is None or one in applying]
    flat = unfolded(asked, item=item, settled=values, ended=journey.ended)
    return [*listed, *ready(flat, ended=journey.ended, begun=journey.begun, within=steps)]


def _gather(journey: _Journey, planned: PlannedStep) -> bool:
    """Close a step over a list where that can be done here; what cannot be is the orchestrators' to say."""
    name, item, values = planned.step.name, journey.work.input, journey.values
    if not applies(planned, item=item, settled=values, skipped=journey.skipped):
        journey.settle(Settled(step=name, n=0, value=None, skipped=True))
        return True
    found = gathered(planned, item=item, settled=values, ended=journey.ended)
    if found is None or isinstance(found, Unfit):
        return False
    journey.settle(Settled(step=name, n=0, value=found))
    return True


async def _ask(holding: _Holding, journey: _Journey, todo: Todo) -> Outcome:
    planned = named(holding.batch.steps, todo.step)
    subtask = Subtask(holding.batch, journey.work, planned, todo, journey.values, holding.paid, holding.offered)
    state = AttemptState.of(todo)
    try:
        verdict = await _answered(subtask, state, holding)
    except Exception as error:
        # A bug of ours must not take the neighbours along, nor come back for ever; what was paid stays on record.
        _log.exception("subtask.bug", extra={"job": subtask.batch.job, "step": todo.step, "item": subtask.work.item})
        reason = f"internal error in step '{todo.step}': {type(error).__name__}; the worker's log has the traceback"
        verdict = Reject(reason=reason)
    return state.end(verdict)


async def _answered(subtask: Subtask, state: AttemptState, holding: _Holding) -> Accept | Parked:
    """Have a subtask tried by who answers its step on this tier: a tool, a student, or models."""
    worker, step = holding.worker, subtask.planned.step
    if step.kind is StepKind.TOOL:
        return await answer_by_tool(subtask, state, worker)
    inputs = inputs_of(step, subtask.skill, subtask.work.input, subtask.values)
    if isinstance(inputs, Unfit):
        return Reject(reason=inputs.reason)
    if subtask.batch.tier.kind is TierKind.STUDENT:
        return await answer_by_student(subtask, inputs, state, worker)
    return await answer(subtask, inputs, state, worker, holding.packer)
