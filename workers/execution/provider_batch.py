"""A worker's part in a provider batch: prompts become its requests, and what comes back is kept as paid answers."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from pydantic import ValidationError

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import MESSAGE_VERSION, Batch, Todo, Work
from firstline.schemas.provider_batch import (
    ProviderBatchAct,
    ProviderBatchNews,
    ProviderBatchOrder,
    ProviderBatchState,
)
from firstline.schemas.tier import Limits, Model
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.leases import Lease, lease
from firstline.workers.durability.paid_answers import PaidAnswer
from firstline.workers.durability.provider_batch_record import Record
from firstline.workers.execution.answering import call_of
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.batch_prefixes import by_prefix
from firstline.workers.execution.provider_batch_money import charge, correct
from firstline.workers.execution.subtask import Subtask
from firstline.workers.limits.permit import Permit
from firstline.workers.providers.batches.api import BatchApi
from firstline.workers.providers.batches.wire import BatchError, Progress, Request
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.json_text import printable
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Question:
    """One request of a provider batch: whose it is."""

    batch: Batch
    work: Work
    todo: Todo
    call: Call


class _LeaseLost(Exception):
    """Another worker has taken over, because Redis was away for too long."""


async def carry_message(message: str, worker: Worker) -> str | None:
    """Do what an order says; None where another worker is at it, or nobody here can read it."""
    try:
        order = ProviderBatchOrder.model_validate_json(message)
    except ValidationError:
        mend = "update this worker"
        _log.error("provider_batch.unreadable", extra={"expected": f"version {MESSAGE_VERSION}", "mend": mend})
        return None
    async with lease(worker.client, worker.keys.lease(order.id)) as mine:
        if mine is None:
            return None
        try:
            return (await carry(order, worker, mine)).model_dump_json()
        except _LeaseLost:
            _log.warning("provider_batch.lease_lost", extra={"provider_batch": order.id, "act": order.act.value})
            return None


async def carry(order: ProviderBatchOrder, worker: Worker, mine: Lease) -> ProviderBatchNews:
    """Do what an order says; it may have been done before."""
    api = worker.batch_api
    if api is None:
        raise RuntimeError("this worker's gateway has no Batch API")
    try:
        match order.act:
            case ProviderBatchAct.SUBMIT:
                return await _submit(order, worker, api, mine)
            case ProviderBatchAct.LOOK:
                return await _look(order, worker, api)
            case ProviderBatchAct.COLLECT:
                return await _collect(order, worker, api)
            case ProviderBatchAct.CANCEL:
                await api.cancel(_model(order), order.provider_id or "")
                return _news(order, ProviderBatchState.DROPPED)
            case _:
                assert_never(order.act)
    except BatchError as error:
        return _after(order, error)


def _after(order: ProviderBatchOrder, error: BatchError) -> ProviderBatchNews:
    """Return what follows from an error of the provider's: whatever it was, the next look may have more luck."""
    extra = {"provider_batch": order.id, "act": order.act.value, "error": str(error)}
    _log.warning("provider_batch.failed", extra=extra)
    state = ProviderBatchState.SUBMITTED
    if order.act is ProviderBatchAct.SUBMIT:
        state = ProviderBatchState.REFUSED
    elif error.reply.error in (ErrorKind.NOT_FOUND, ErrorKind.MALFORMED):
        # The provider knows of no such batch, or its answer is too long: nothing will ever come of it.
        state = ProviderBatchState.COLLECTED
    return _news(order, state, reason=error.reply.detail, requests=order.requests)


async def _submit(order: ProviderBatchOrder, worker: Worker, api: BatchApi, mine: Lease) -> ProviderBatchNews:
    record = await Record.read(worker.client, worker.keys, order.id)
    model = _named(order, record.model) or worker.gate.pick(order.tier)
    if isinstance(model, Defer):
        return _news(order, ProviderBatchState.REFUSED, defer=model)
    questions = _questions(order, model)
    told = {"model": model.name, "requests": len(questions)}
    if not questions:
        return _news(order, ProviderBatchState.COLLECTED, **told)
    handing = _HandingIn(order, worker, api, mine, model, record, _guess(questions, worker))
    name = await handing.known(len(questions))
    if name is None:
        made = await handing.make({name: question.call for name, question in questions.items()})
        if isinstance(made, ProviderBatchNews):
            return made
        name = made
    # Nobody knows yet what it will cost: until it is collected, what was guessed for it counts as spent.
    await charge(order, worker, handing.guess_usd)
    return _news(order, ProviderBatchState.SUBMITTED, provider_id=name, reserved_usd=handing.guess_usd, **told)


@dataclass(frozen=True, slots=True)
class _HandingIn:
    """One provider batch on its way to the provider, each step on record before the next."""

    order: ProviderBatchOrder
    worker: Worker
    api: BatchApi
    mine: Lease
    model: Model
    record: Record
    guess_usd: float | None

    async def known(self, requests: int) -> str | None:
        """Return the provider's name of what was handed in before, by this worker or one that has died."""
        if self.record.name is not None:
            return self.record.name
        if self.record.created is None and self.order.tries == 0:
            return None
        since = self.record.created or self.order.created_at
        for name in await self.api.marked(self.model, mark=self.order.id, requests=requests, since=since):
            if await self.record.take(name):
                return name
        return None

    async def make(self, calls: Mapping[str, Call]) -> str | ProviderBatchNews:
        """Hand calls in; return the provider's name for the batch, or why there is none."""
        requests = await self.api.requests(calls)
        if (fits := self.api.fits(self.model, requests)) < len(requests):
            reason = f"{len(requests)} requests are more than one batch of {self.model.name}'s provider takes"
            return _news(self.order, ProviderBatchState.REFUSED, reason=reason, fits=max(1, fits // 2))
        permit = await self._reserve()
        if isinstance(permit, Defer):
            return _news(self.order, ProviderBatchState.REFUSED, defer=permit)
        try:
            return await self._create(requests)
        except BatchError as error:
            self.worker.gate.fault(self.order.tier, self.model, error.reply)
            reason = error.reply.detail or "refused"
            defer = Defer(cause=DeferCause.NO_MODEL, wait_s=self.order.tier.bulk.poll_s, reason=reason)
            return _news(self.order, ProviderBatchState.REFUSED, defer=defer, reason=reason)
        finally:
            # What is spent is charged once it is handed in; the reservation only kept room for it.
            await self.worker.gate.leave(permit, reply=Reply(cost_usd=0.0))

    async def _create(self, requests: Mapping[str, Request]) -> str:
        await self.record.note_model(self.model.name)
        uploaded = self.record.uploaded
        if uploaded is None:
            uploaded = await self.api.upload(self.model, requests, mark=self.order.id)
            if uploaded is not None:
                await self.record.note_uploaded(uploaded)
        if not self.mine.is_held:
            raise _LeaseLost
        await self.record.note_created(datetime.now(UTC))
        name = await self.api.create(self.model, requests, mark=self.order.id, uploaded=uploaded)
        await self.record.take(name)
        return name

    async def _reserve(self) -> Permit | Defer:
        """Keep room for what all requests together may cost; a Batch API has limits of its own."""
        return await self.worker.gate.enter(
            tier=self.order.tier,
            model=self.model.evolve(limits=Limits()),
            caps=self.order.batches[0].caps,
            cost_usd=self.guess_usd,
        )


async def _look(order: ProviderBatchOrder, worker: Worker, api: BatchApi) -> ProviderBatchNews:
    """Ask how far it is; others that bear its mark were handed in by mistake, and are called off."""
    model = _model(order)
    progress = await api.look(model, order.provider_id or "")
    if not progress.ended:
        return _news(order, ProviderBatchState.SUBMITTED, reason=progress.problem)
    working = [name for name, other in (await _doubles(order, api, model)).items() if not other.ended]
    for name in working:
        _log.warning("provider_batch.double", extra={"provider_batch": order.id, "double": name})
        await api.cancel(model, name)
    state = ProviderBatchState.SUBMITTED if working else ProviderBatchState.ENDED
    return _news(order, state, reason=progress.problem)


async def _doubles(order: ProviderBatchOrder, api: BatchApi, model: Model) -> dict[str, Progress]:
    """Return the other batches that bear the mark of this one, with how far each is."""
    if not api.bears_marks(model):
        return {}
    found = await api.marked(model, mark=order.id, requests=order.requests, since=order.created_at)
    return {name: await api.look(model, name) for name in found if name != order.provider_id}


async def _collect(order: ProviderBatchOrder, worker: Worker, api: BatchApi) -> ProviderBatchNews:
    model = _model(order)
    progress = await api.look(model, order.provider_id or "")
    questions = _questions(order, model)
    calls = {name: question.call for name, question in questions.items()}
    replies = await api.answers(model, progress, calls)
    for double in (await _doubles(order, api, model)).values():
        for name, reply in (await api.answers(model, double, calls)).items():
            replies[name] = _twice(replies[name], reply) if name in replies else reply
    for name, reply in replies.items():
        question = questions[name]
        worker.paid.keep(
            batch=question.batch.id,
            item=question.work.item,
            step=question.todo.step,
            n=question.todo.n,
            # The same time whenever it is collected: by it a call is known in two trails.
            kept=PaidAnswer(order.created_at, reply, model=model.name),
        )
    await worker.paid.written()
    await correct(order, worker, replies.values())
    told = {"requests": len(questions), "answered": len(replies)}
    return _news(order, ProviderBatchState.COLLECTED, reason=progress.problem, **told)


def _twice(reply: Reply, again: Reply) -> Reply:
    """Return an answer with the cost of one that was paid beside it by mistake."""
    both = None if reply.cost_usd is None or again.cost_usd is None else reply.cost_usd + again.cost_usd
    better = again if reply.error is not None and again.error is None else reply
    return replace(better, cost_usd=both, calls=reply.calls + again.calls)


def _questions(order: ProviderBatchOrder, model: Model) -> dict[str, _Question]:
    """Return the requests of a provider batch by their ids, the same ones whenever it is looked at."""
    # Counted batch by batch: one that is collected again may lack batches that were judged in the meantime.
    found = {
        f"{batch.id}-{question.work.item}-{place}": question
        for batch in order.batches
        for place, question in enumerate(_asked(batch, model))
    }
    calls = by_prefix({name: question.call for name, question in found.items()})
    return {name: replace(found[name], call=call) for name, call in calls.items()}


def _asked(batch: Batch, model: Model) -> Iterator[_Question]:
    steps = {planned.step.name: planned for planned in batch.steps}
    for work in batch.work:
        for todo in work.todo:
            subtask = Subtask(batch, work, steps[todo.step], todo, work.settled, {}, {})
            inputs = inputs_of(subtask.planned.step, subtask.skill, work.input, work.settled)
            # What cannot be asked is refused when its batch goes on, and says why.
            if not isinstance(inputs, Unfit) and not subtask.skill.tools:
                yield _Question(batch, work, todo, call_of(subtask, inputs, AttemptState.of(todo), model, {}))


def _guess(questions: dict[str, _Question], worker: Worker) -> float | None:
    costs = [worker.estimator.estimate(question.call).cost_usd for question in questions.values()]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _model(order: ProviderBatchOrder) -> Model:
    return _named(order, order.model) or order.tier.models[0]


def _named(order: ProviderBatchOrder, name: str | None) -> Model | None:
    return next((model for model in order.tier.models if model.name == name), None)


def _news(order: ProviderBatchOrder, state: ProviderBatchState, **told: object) -> ProviderBatchNews:
    known = {"model": order.model, "provider_id": order.provider_id, "reserved_usd": order.reserved_usd}
    # A provider's words go into the database.
    words = {name: printable(one) if isinstance(one, str) else one for name, one in told.items()}
    return ProviderBatchNews.model_validate({"id": order.id, "job": order.job, "state": state, **known, **words})
