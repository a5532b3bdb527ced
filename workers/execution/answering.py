"""One subtask on one tier: call, check, decide; again with feedback; until it settles or is left to others."""

import logging
from dataclasses import dataclass, replace
from typing import assert_never

from pydantic_core import to_json

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import Settled
from firstline.schemas.errors import UserError
from firstline.schemas.plan import StepKind
from firstline.schemas.tier import Model, TierKind
from firstline.schemas.verdict import Accept, Defer, Escalate, Refer, Reject, Retry, Review, Verdict
from firstline.workers.confidence import top_logprobs
from firstline.workers.durability.response_cache import CachedAnswer, digest_of
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import CallResult, ModelAnswer, book, book_cached, book_sent
from firstline.workers.execution.judging import judge
from firstline.workers.execution.model_choice import choose, count_round, failures, too_long
from firstline.workers.execution.packer import MAX_TOKENS, Packer, is_short
from firstline.workers.execution.student_step import answer_by_student
from firstline.workers.execution.subtask import Outcome, Subtask
from firstline.workers.execution.tool_rounds import is_last, offered, refused, take_round
from firstline.workers.execution.tool_step import answer_by_tool
from firstline.workers.limits.cooldown_rules import FAULTS
from firstline.workers.prompts.prompt import messages, static_messages
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.policy import Situation, decide
from firstline.workers.rules.step_inputs import Unfit, inputs_of
from firstline.workers.tools.base import definition
from firstline.workers.tools.toolbox import Tools
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)


#: So many times the declared bound an answer may have at most, once it has reached it.
_MOST_ROOM = 4


async def answer(subtask: Subtask, worker: Worker, packer: Packer) -> Outcome:
    """Try a subtask on its batch's tier until a verdict ends it here."""
    todo, state = subtask.todo, AttemptState.of(subtask.todo)
    try:
        if subtask.planned.step.kind is StepKind.TOOL:
            return await answer_by_tool(subtask, state, worker)
        inputs = inputs_of(subtask.planned.step, subtask.skill, subtask.work.input, subtask.values)
        if isinstance(inputs, Unfit):
            return state.leave(todo, Reject(reason=inputs.reason))
        if subtask.batch.tier.kind is TierKind.STUDENT:
            return await answer_by_student(subtask, inputs, state, worker)
        return await _answer(_Asking(subtask, inputs, state, worker, packer))
    except Exception as error:
        # A bug of ours must not take the neighbours along, nor come back for ever; what was paid stays on record.
        _log.exception("subtask.bug", extra={"job": subtask.batch.job, "step": todo.step, "item": subtask.work.item})
        reason = f"internal error in step '{todo.step}': {type(error).__name__}; the worker's log has the traceback"
        return state.leave(todo, Reject(reason=reason))


async def _answer(asking: "_Asking") -> Outcome:
    todo, state = asking.subtask.todo, asking.state
    while True:
        verdict = await asking.attempt()
        match verdict:
            case None:
                continue
            case Accept():
                last = state.attempts[-1]
                return Outcome(tuple(state.attempts), Settled(step=todo.step, n=last.n, value=last.value))
            case Retry():
                state.used += 1
                state.feedback, state.effort = verdict.feedback, verdict.effort or state.effort
                state.previous = state.attempts[-1].text
                if state.attempts[-1].error in (ErrorKind.TRUNCATED, ErrorKind.EMPTY):
                    state.room = min(_MOST_ROOM, 2 * state.room)
            case Escalate() | Refer() | Review() | Reject():
                state.feedback = _feedback(state)
                return state.leave(todo, verdict)
            case Defer():
                return state.leave(todo, verdict)
            case _:
                assert_never(verdict)


def _feedback(state: AttemptState) -> tuple[str, ...]:
    """Return what a stronger tier should know: what the checks said of the last answer."""
    failed = [check for check in state.attempts[-1].checks if not check.passed] if state.attempts else []
    return tuple(check.feedback for check in failed if check.feedback) or state.feedback


def call_of(subtask: Subtask, inputs: JsonObject, state: AttemptState, model: Model, tools: Tools) -> Call:
    """Return the call that asks a model about a subtask."""
    skill = subtask.skill
    params: JsonObject = dict(skill.params)
    if state.effort is not None:
        params["reasoning_effort"] = state.effort
    if state.room > 1:
        bounds = {**model.params, **params}
        params |= {name: bound * state.room for name in MAX_TOKENS if isinstance(bound := bounds.get(name), int)}
    if tools and is_last(subtask, state):
        # The tools stay: providers want those that the conversation speaks of, and cache the prompt with them.
        params["tool_choice"] = "none"
    return Call(
        model=model,
        messages=messages(
            skill,
            inputs,
            feedback=state.feedback,
            instruction=subtask.todo.instruction,
            previous=state.previous,
            tool_results=state.rounds,
        ),
        static=len(static_messages(skill)),
        schema=None if skill.is_text else skill.output,
        schema_name=skill.name,
        timeout_s=subtask.batch.tier.timeout_s,
        params=params,
        top_logprobs=top_logprobs(skill) if subtask.is_weighed and model.logprobs else None,
        tools=tuple(definition(tool) for tool in tools.values()),
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """A subtask that models are asked about, and all that asking takes."""

    subtask: Subtask
    inputs: JsonObject
    state: AttemptState
    worker: Worker
    packer: Packer

    async def attempt(self) -> Verdict | Defer | None:
        """Make one attempt; None when it led to no verdict, so that another follows at once."""
        state, batch = self.state, self.subtask.batch
        model = self._next_model()
        if isinstance(model, Defer):
            return self._no_model(model)
        if batch.tier.kind is TierKind.BATCH and self.subtask.skill.tools:
            return Escalate(reason="its skill calls tools, which a Batch API cannot wait for")
        try:
            tools = await offered(self.subtask, self.worker) if self.subtask.skill.tools else {}
        except UserError as error:
            return Reject(reason=str(error))
        call = call_of(self.subtask, self.inputs, state, model, tools)
        shared = digest_of(call, self.subtask.skill.digest, tenant=batch.tenant) if batch.cache and not tools else None
        said = await self._say(call, shared)
        if isinstance(said, Defer):
            return said
        if self._is_the_models_fault(said, model):
            return None
        state.avoid.clear()
        return await self._take(said, tools, shared)

    def _is_the_models_fault(self, said: ModelAnswer, model: Model) -> bool:
        """Say whether another model is to answer instead, and note why."""
        state, error, detail = self.state, said.reply.error, said.reply.detail or ""
        if error is not None and error in FAULTS:
            if not said.reply.is_lanes_fault:
                state.avoid[model.name] = error
            state.add(said.attempt, verdict="fault", reason=detail)
            return True
        # What is too long for a model as one of a pack may have room in it alone.
        is_alone = said.reply.packed == 1
        if error is ErrorKind.CONTEXT_LENGTH and is_alone and too_long(self.subtask.tier, state, model):
            state.add(said.attempt, verdict="fault", reason=f"another model has more room: {detail}")
            return True
        return False

    async def _take(self, said: ModelAnswer, tools: Tools, shared: str | None) -> Verdict | Defer | None:
        """Do what an answer asks for: its tool calls, or a verdict."""
        reply, state = said.reply, self.state
        if not reply.tool_calls or reply.error is not None:
            return await self._judge(said, shared)
        if tools and not is_last(self.subtask, state):
            return await take_round(self.subtask, said.attempt, reply, tools, state, self.worker)
        reply = refused(reply)
        attempt = said.attempt.model_copy(update={"detail": reply.detail})
        return await self._judge(replace(said, reply=reply, attempt=attempt), shared)

    def _next_model(self) -> Model | Defer:
        tier, state = self.subtask.tier, self.state
        if tier.kind is TierKind.BATCH and self.subtask.paid_for(state.n) is not None:
            # Its answer is here already, whoever is left alone now.
            return tier.models[0]
        return choose(self.worker.gate, tier, state, text=to_json(self.inputs).decode())

    def _no_model(self, defer: Defer) -> Verdict | Defer:
        """Return that it comes back later, or what follows where it is this item that every model fails on."""
        state, batch = self.state, self.subtask.batch
        if not count_round(self.worker.gate, self.subtask.tier, state, self.subtask.struck):
            return defer
        return decide(
            Situation(
                policy=self.subtask.planned.policy,
                tier=batch.tier.name,
                ladder=batch.ladder,
                error=ErrorKind.SERVER,
                detail=f"each of them failed on this item again and again ({failures(state)})",
            )
        )

    async def _say(self, call: Call, shared: str | None) -> ModelAnswer | Defer:
        """Return what is said to a call: paid for already, shared by an earlier job, as part of a pack, or alone."""
        subtask, state, tier = self.subtask, self.state, self.subtask.batch.tier
        result: CallResult | None = None
        if subtask.paid_for(state.n) is None:
            if shared and (hit := await self.worker.cache.find(shared)) is not None:
                attempt = book_cached(subtask, call, tier, state, hit.reply)
                return ModelAnswer(attempt, hit.reply, call.messages, self.inputs, hit.confidence)
            if self._may_be_packed(call.model):
                result = await self.packer.ask(subtask.skill, self.inputs, call)
        if result is None:
            booked = await book(subtask, call, tier, state, self.worker)
        else:
            booked = book_sent(subtask, call, tier, state, self.worker, result)
        return booked if isinstance(booked, Defer) else ModelAnswer(*booked, call.messages, self.inputs)

    def _may_be_packed(self, model: Model) -> bool:
        """Say whether the item may share its call.

        Thresholds speak of answers that were given alone, tools of one item, and so does what is said of a last answer.
        """
        subtask, state, skill = self.subtask, self.state, self.subtask.skill
        is_plain = not (skill.tools or subtask.is_weighed or subtask.todo.instruction or state.feedback or state.effort)
        if subtask.batch.tier.kind is TierKind.BATCH or model.decides:
            return False
        return skill.pack > 1 and is_plain and not state.alone and is_short(self.inputs)

    async def _judge(self, said: ModelAnswer, shared: str | None) -> Verdict | None:
        verdict, state = await judge(self.subtask, said, self.state, self.worker), self.state
        last = state.attempts[-1]
        if isinstance(verdict, Accept):
            if shared and not last.from_cache:
                self.worker.cache.keep(shared, CachedAnswer(said.reply, last.confidence))
            return verdict
        if said.reply.packed == 1:
            return verdict
        # The pack may be to blame: that the item is asked alone now costs it none of its attempts.
        reason = f"{last.reason}; it was one of a pack of {said.reply.packed} and is asked alone"
        state.attempts[-1] = last.model_copy(update={"verdict": "unpacked", "reason": reason})
        state.alone = True
        return None
