"""Rounds of tool calls: a model asks for declared tools while it answers, within bounds, and never for others."""

import asyncio
import logging
from dataclasses import replace

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Json
from firstline.schemas.batch import Batch
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Skill
from firstline.schemas.tier import TierKind
from firstline.schemas.tool import ToolResult
from firstline.schemas.verdict import Defer, Reject
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import Calls, ModelAnswer
from firstline.workers.execution.subtask import Subtask, place_of
from firstline.workers.prompts.prompt import ToolRound
from firstline.workers.providers.gateway import ToolCall
from firstline.workers.tools.base import clip, failed, read_arguments
from firstline.workers.tools.toolbox import Tools
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)

#: Tiers whose models may ask for tools.
_OFFERING = (TierKind.MODEL, TierKind.DECISION)
#: Calls of one round that are made; what a model asks for beyond them is refused.
_CALLS_A_ROUND = 8
#: Characters of a result that the model is shown: it is paid for in every round that follows.
_SHOWN_CHARS = 20_000
_RECORDED_CHARS = 2_000


async def offered(batch: Batch, worker: Worker) -> dict[str, Tools | Reject]:
    """Return the tools that a batch's skills declare, by skill; a Reject where one is not declared or not reached.

    The declaration alone grants a tool: no text of an item and no answer of a model adds to it.
    """
    if batch.tier.kind not in _OFFERING:
        return {}
    skills = [batch.skills[planned.step.skill] for planned in batch.steps if planned.step.skill in batch.skills]
    return {skill.name: await _offered(skill, batch, worker) for skill in skills if skill.tools}


async def _offered(skill: Skill, batch: Batch, worker: Worker) -> Tools | Reject:
    missing = [name for name in skill.tools if name not in batch.tools]
    if missing:
        return Reject(reason=f"skill '{skill.name}' offers the tool '{missing[0]}', which nobody declares")
    try:
        return await worker.toolbox.bound({name: batch.tools[name] for name in skill.tools}, place_of(batch))
    except UserError as error:
        return Reject(reason=str(error))
    except Exception as error:
        _log.exception("tools.bug", extra={"job": batch.job, "skill": skill.name})
        return Reject(reason=f"the tools of skill '{skill.name}' cannot be made ready ({type(error).__name__})")


def is_last(subtask: Subtask, state: AttemptState) -> bool:
    """Say whether the rounds are used up, so that the answer itself is asked for."""
    return len(state.rounds) >= subtask.skill.tool_rounds


def refused(said: ModelAnswer) -> ModelAnswer:
    """Return a reply that asks for a tool after the last round as an answer that is none."""
    detail = f"asked for a tool ({', '.join(call.name for call in said.reply.tool_calls)}) instead of answering"
    reply = replace(said.reply, error=ErrorKind.MALFORMED, detail=detail)
    return replace(said, reply=reply, attempt=said.attempt.model_copy(update={"detail": detail}))


async def take_round(calls: Calls, said: ModelAnswer, tools: Tools) -> Defer | None:
    """Make the calls that a model asked for, together, and note what came of them for the model and on record.

    A `Defer` when the job was cancelled, or the worker stopped, meanwhile.
    """
    batch, state, worker = calls.subtask.batch, calls.state, calls.worker
    at, wanted = len(state.attempts), said.reply.tool_calls
    state.add(said.attempt, purpose="tool_round", verdict="tools", reason=f"asked for {_names(wanted)}")
    try:
        with worker.calling(batch.job):
            results = await asyncio.gather(*(_result(place, call, tools, worker) for place, call in enumerate(wanted)))
    except asyncio.CancelledError:
        off = worker.called_off(batch)
        if off is None:
            raise
        return off
    state.rounds.append(ToolRound(wanted, tuple(results), said.reply.text, said.reply.message))
    record: list[Json] = [_record(call, result) for call, result in zip(wanted, results, strict=True)]
    state.attempts[at] = state.attempts[at].model_copy(update={"value": record})
    return None


async def _result(place: int, call: ToolCall, tools: Tools, worker: Worker) -> ToolResult:
    if place >= _CALLS_A_ROUND:
        return failed(f"not called: at most {_CALLS_A_ROUND} calls in one round")
    arguments = read_arguments(tools, call.name, call.raw)
    if isinstance(arguments, ToolResult):
        return arguments
    return clip(await worker.toolbox.call(tools[call.name], arguments), _SHOWN_CHARS)


def _names(calls: tuple[ToolCall, ...]) -> str:
    return ", ".join(dict.fromkeys(call.name for call in calls))


def _record(call: ToolCall, result: ToolResult) -> Json:
    kept = clip(result, _RECORDED_CHARS)
    return {"tool": call.name, "arguments": call.arguments, "value": kept.value, "error": kept.error}
