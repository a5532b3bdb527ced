"""A worker's part in a bulk: prompts become its requests, and what comes back is kept as answers paid for already."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from pydantic import ValidationError

from firstline.schemas.batch import MESSAGE_VERSION, Batch, Todo, Work
from firstline.schemas.provider_batch import BulkAct, BulkNews, BulkOrder, BulkState
from firstline.schemas.tier import Limits, Model
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.claims import Claim, claim
from firstline.workers.durability.paid_answers import Kept
from firstline.workers.execution.answering import call_of
from firstline.workers.execution.attempt_state import Line
from firstline.workers.execution.provider_batch_money import correct
from firstline.workers.execution.subtask import Subtask
from firstline.workers.limits.permit import Permit
from firstline.workers.providers.batch_api import BulkApi, BulkError, Progress
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Question:
    """One request of a bulk: whose it is."""

    batch: Batch
    work: Work
    todo: Todo
    call: Call


async def carry_message(message: str, worker: Worker) -> str | None:
    """Do what an order says; None where another worker does it, or nobody here can read it."""
    try:
        order = BulkOrder.model_validate_json(message)
    except ValidationError:
        _log.error("bulk.unreadable", extra={"expected": f"version {MESSAGE_VERSION}", "mend": "update this worker"})
        return None
    said = await claim(
        worker.client, worker.keys, batch=f"{order.id}.{order.act.value}", job=order.job, worker=worker.name
    )
    if said in (Claim.HELD, Claim.JUDGED):
        return None
    news = await carry(order, worker, again=said is Claim.RESUMED)
    return news.model_dump_json()


async def carry(order: BulkOrder, worker: Worker, *, again: bool) -> BulkNews:
    """Do what an order says; `again`: somebody may have done it already."""
    api = worker.bulks
    if api is None:
        return _news(order, BulkState.REFUSED, reason="this worker has no Batch API")
    try:
        match order.act:
            case BulkAct.SUBMIT:
                return await _submit(order, worker, api, again=again)
            case BulkAct.LOOK:
                return await _look(order, api)
            case BulkAct.COLLECT:
                return await _collect(order, worker, api)
            case BulkAct.CANCEL:
                await api.cancel(_model(order), order.provider_id or "")
                return _news(order, BulkState.DROPPED)
            case _:
                assert_never(order.act)
    except BulkError as error:
        # Whatever it was, the next look may have more luck.
        _log.warning("bulk.failed", extra={"bulk": order.id, "act": order.act.value, "error": str(error)})
        state = BulkState.REFUSED if order.act is BulkAct.SUBMIT else BulkState.SUBMITTED
        return _news(order, state, reason=error.reply.detail)


async def _submit(order: BulkOrder, worker: Worker, api: BulkApi, *, again: bool) -> BulkNews:
    model = worker.gate.pick(order.tier)
    if isinstance(model, Defer):
        return _news(order, BulkState.REFUSED, defer=model)
    questions = _questions(order, model)
    told = {"model": model.name, "requests": len(questions)}
    if not questions:
        return _news(order, BulkState.COLLECTED, **told)
    if again and (known := await api.find(model, mark=order.id)) is not None:
        return _news(order, BulkState.SUBMITTED, provider_id=known, reserved_usd=_guess(questions, worker), **told)
    permit = await _reserve(order, worker, model, questions)
    if isinstance(permit, Defer):
        return _news(order, BulkState.REFUSED, defer=permit)
    try:
        calls = {name: question.call for name, question in questions.items()}
        provider_id = await api.submit(model, calls, mark=order.id)
    except BulkError as error:
        await worker.gate.leave(permit, reply=replace(error.reply, cost_usd=0.0))
        worker.gate.fault(order.tier, model, error.reply)
        defer = Defer(cause=DeferCause.NO_MODEL, wait_s=order.tier.bulk.poll_s, reason=error.reply.detail or "refused")
        return _news(order, BulkState.REFUSED, defer=defer)
    # Nobody knows yet what it will cost: until it is collected, what was reserved for it counts as spent.
    await worker.gate.leave(permit, reply=None)
    return _news(order, BulkState.SUBMITTED, provider_id=provider_id, reserved_usd=permit.cost_usd, **told)


async def _look(order: BulkOrder, api: BulkApi) -> BulkNews:
    progress = await api.look(_model(order), order.provider_id or "")
    return _news(order, BulkState.ENDED if progress.ended else BulkState.SUBMITTED, reason=progress.problem)


async def _collect(order: BulkOrder, worker: Worker, api: BulkApi) -> BulkNews:
    model = _model(order)
    progress: Progress = await api.look(model, order.provider_id or "")
    questions = _questions(order, model)
    calls = {name: question.call for name, question in questions.items()}
    replies = await api.answers(model, progress, calls)
    for name, reply in replies.items():
        question = questions[name]
        worker.paid.keep(
            batch=question.batch.id,
            item=question.work.item,
            step=question.todo.step,
            n=question.todo.n,
            # The same time whenever it is collected: by it a call is known in two trails.
            kept=Kept(order.created_at, reply, model=model.name),
        )
    await worker.paid.written()
    await correct(order, worker, replies.values())
    return _news(order, BulkState.COLLECTED, requests=len(questions), answered=len(replies), reason=progress.problem)


def _questions(order: BulkOrder, model: Model) -> dict[str, _Question]:
    """Return the requests of a bulk by their ids, the same ones whenever it is looked at."""
    # Counted batch by batch: a bulk that is collected again may lack batches that were judged in the meantime.
    return {
        f"{batch.id}-{one.work.item}-{place}": one
        for batch in order.batches
        for place, one in enumerate(_asked(batch, model))
    }


def _asked(batch: Batch, model: Model) -> Iterator[_Question]:
    steps = {planned.step.name: planned for planned in batch.steps}
    for work in batch.work:
        for todo in work.todo:
            subtask = Subtask(batch, work, steps[todo.step], todo, work.settled, {})
            inputs = inputs_of(subtask.planned.step, subtask.skill, work.input, work.settled)
            # What cannot be asked is refused when its batch goes on, and says why.
            if not isinstance(inputs, Unfit) and not subtask.skill.tools:
                yield _Question(batch, work, todo, call_of(subtask, inputs, Line.of(todo), model, {}))


async def _reserve(order: BulkOrder, worker: Worker, model: Model, questions: dict[str, _Question]) -> Permit | Defer:
    """Reserve what all requests together may cost; a Batch API has limits of its own."""
    return await worker.gate.enter(
        tier=order.tier,
        model=model.evolve(limits=Limits()),
        rations=order.batches[0].rations,
        cost_usd=_guess(questions, worker),
    )


def _guess(questions: dict[str, _Question], worker: Worker) -> float | None:
    costs = [worker.estimator.estimate(question.call).cost_usd for question in questions.values()]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _model(order: BulkOrder) -> Model:
    return next((model for model in order.tier.models if model.name == order.model), order.tier.models[0])


def _news(order: BulkOrder, state: BulkState, **told: object) -> BulkNews:
    known = {"model": order.model, "provider_id": order.provider_id, "reserved_usd": order.reserved_usd}
    return BulkNews.model_validate({"id": order.id, "job": order.job, "state": state, **known, **told})
