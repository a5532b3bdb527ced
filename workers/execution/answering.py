"""A subtask and a tier's models: call, check, decide; again with feedback; until it settles or is left to others."""

from dataclasses import dataclass
from typing import assert_never

from pydantic_core import to_json

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model, TierKind
from firstline.schemas.verdict import Accept, Defer, Escalate, Parked, Refer, Reject, Retry, Review, Verdict
from firstline.workers.confidence import top_logprobs
from firstline.workers.durability.response_cache import digest_of
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import Calls, ModelAnswer
from firstline.workers.execution.judging import judge
from firstline.workers.execution.model_choice import choose, count_round, failures, is_the_models_fault
from firstline.workers.execution.packer import MAX_TOKENS, Packer, is_short
from firstline.workers.execution.subtask import Subtask
from firstline.workers.execution.tool_rounds import is_last, refused, take_round
from firstline.workers.prompts.prompt import messages, static_messages
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.policy import LATE, Situation, decide, is_too_late
from firstline.workers.tools.base import definition
from firstline.workers.tools.toolbox import Tools
from firstline.workers.worker import Worker

#: So many times the declared bound an answer may have at most, once it has reached it.
_MOST_ROOM = 4


async def answer(
    subtask: Subtask, inputs: JsonObject, state: AttemptState, worker: Worker, packer: Packer
) -> Accept | Parked:
    """Have a tier's models asked about a subtask until a verdict ends it here."""
    return await _answer(_Asking(Calls(subtask, inputs, state, worker), packer))


async def _answer(asking: "_Asking") -> Accept | Parked:
    state = asking.calls.state
    while True:
        verdict = await asking.attempt()
        match verdict:
            case None:
                continue
            case Retry():
                state.used += 1
                state.feedback, state.effort = verdict.feedback, verdict.effort or state.effort
                state.previous = state.attempts[-1].text
                if state.attempts[-1].error in (ErrorKind.TRUNCATED, ErrorKind.EMPTY):
                    state.room = min(_MOST_ROOM, 2 * state.room)
            case Escalate() | Refer() | Review() | Reject():
                state.feedback = _feedback(state)
                return verdict
            case Accept() | Defer():
                return verdict
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

    calls: Calls
    packer: Packer

    async def attempt(self) -> Verdict | Defer | None:
        """Make one attempt; None when it led to no verdict, so that another follows at once."""
        calls = self.calls
        subtask = calls.subtask
        model = self._next_model()
        if not isinstance(model, Model):
            return model
        tools = subtask.tools
        if isinstance(tools, Reject):
            return tools
        pack = self.packer.ask if self._may_be_packed(model) else None
        call = call_of(subtask, calls.inputs, calls.state, model, tools)
        is_shared = subtask.batch.cache and not tools
        key = digest_of(call, subtask.skill.digest, tenant=subtask.batch.tenant) if is_shared else None
        said = await calls.say(call, key=key, pack=pack)
        if isinstance(said, Defer):
            return said
        if is_the_models_fault(calls, said, model):
            return None
        if said.reply.is_items_fault:
            return self._too_late(said, model)
        calls.state.avoid.clear()
        calls.state.late.clear()
        return await self._take(said, tools)

    def _too_late(self, said: ModelAnswer, model: Model) -> Verdict | None:
        """Note that a call timed out for this item alone; return what follows after so many."""
        state, detail = self.calls.state, f"{said.reply.detail}, while {model.name} answered others"
        state.add(said.attempt, verdict="fault", reason=detail)
        if said.reply.packed > 1:
            # Whose doing it was shows where each is asked alone.
            state.alone = True
            return None
        state.late.add(model.name)
        state.faults += LATE
        situation = self._unanswered(ErrorKind.TIMEOUT, detail)
        return decide(situation) if is_too_late(situation, state.faults) else None

    async def _take(self, said: ModelAnswer, tools: Tools) -> Verdict | Defer | None:
        """Do what an answer asks for: its tool calls, or a verdict."""
        if not said.reply.tool_calls or said.reply.error is not None:
            return await judge(self.calls, said)
        if not tools or is_last(self.calls.subtask, self.calls.state):
            return await judge(self.calls, refused(said))
        return await take_round(self.calls, said, tools)

    def _next_model(self) -> Model | Verdict | Defer:
        """Return the model that answers next, or what follows where none does."""
        subtask, state = self.calls.subtask, self.calls.state
        tier, is_bulk = subtask.tier, subtask.batch.tier.kind is TierKind.BATCH
        if is_bulk and subtask.paid_for(state.n) is not None:
            # Its answer is here already, whoever is left alone now.
            return tier.models[0]
        model = choose(self.calls.worker.gate, tier, state, text=to_json(self.calls.inputs).decode())
        if isinstance(model, Defer):
            return self._no_model(model)
        if is_bulk and subtask.skill.tools:
            return Escalate(reason="its skill calls tools, which a Batch API cannot wait for")
        return model

    def _no_model(self, defer: Defer) -> Verdict | Defer:
        """Return that it comes back later, or what follows where it is this item that every model fails on."""
        subtask, state = self.calls.subtask, self.calls.state
        if not count_round(self.calls.worker.gate, subtask.tier, state, subtask.struck):
            return defer
        return decide(
            self._unanswered(ErrorKind.SERVER, f"each of them failed on this item again and again ({failures(state)})")
        )

    def _unanswered(self, error: ErrorKind, detail: str) -> Situation:
        batch, policy = self.calls.subtask.batch, self.calls.subtask.planned.policy
        return Situation(policy=policy, tier=batch.tier.name, ladder=batch.ladder, error=error, detail=detail)

    def _may_be_packed(self, model: Model) -> bool:
        """Say whether the item may share its call.

        Thresholds speak of answers that were given alone, tools of one item, and so does what is said of a last answer.
        """
        subtask, state, skill = self.calls.subtask, self.calls.state, self.calls.subtask.skill
        is_plain = not (skill.tools or subtask.is_weighed or subtask.todo.instruction or state.feedback or state.effort)
        is_alone = state.alone or state.faults >= LATE
        if subtask.batch.tier.kind is TierKind.BATCH or model.decides:
            return False
        return skill.pack > 1 and is_plain and not is_alone and is_short(self.calls.inputs)
