"""A step that a tool answers instead of a model: its arguments, its call, and what follows."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from firstline.schemas.attempt import Attempt, ErrorKind
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step
from firstline.schemas.tool import ToolResult
from firstline.schemas.verdict import Accept, Defer, Parked, Reject, Retry, Verdict
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.subtask import Subtask
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.policy import Situation, decide
from firstline.workers.rules.step_inputs import Unfit, resolve
from firstline.workers.tools.base import BoundTool
from firstline.workers.worker import Worker

#: A tool is called twice at most, and only when its error may be gone the second time.
_MOST_CALLS = 2
_PAUSE_S = 1.0


async def answer_by_tool(subtask: Subtask, state: AttemptState, worker: Worker) -> Accept | Parked:
    """Call a step's tool, once more after a passing error if the policy allows a second attempt."""
    step = subtask.planned.step
    try:
        tool = await _bound(subtask, worker)
    except UserError as error:
        return Reject(reason=str(error))
    arguments = arguments_of(step, tool.parameters, subtask.work.input, subtask.values)
    if isinstance(arguments, Unfit):
        return Reject(reason=arguments.reason)
    while True:
        verdict = await _attempt(subtask, tool, arguments, state, worker)
        if not isinstance(verdict, Retry):
            return verdict
        state.used += 1
        await asyncio.sleep(_PAUSE_S)


def arguments_of(
    step: Step, parameters: JsonObject, item: JsonObject, settled: Mapping[str, Json]
) -> JsonObject | Unfit:
    """Return the tool's arguments by name, or why there are none.

    An argument takes what its reference in `step.inputs` stands for, else the item's field of the same name; one that
    is absent or null is left out unless the tool requires it.
    """
    properties, required = parameters.get("properties"), parameters.get("required")
    known = {name: f"item.{name}" for name in properties} if isinstance(properties, dict) else {}
    found: JsonObject = {}
    for name, reference in {**known, **step.inputs}.items():
        value = resolve(reference, item, settled)
        if value is not MISSING and value is not None:
            found[name] = value
        elif isinstance(required, list) and name in required:
            return Unfit(reason=f"required argument '{name}' ({reference}) of tool '{step.tool}' is missing")
    return found


async def _bound(subtask: Subtask, worker: Worker) -> BoundTool:
    name = subtask.planned.step.tool or ""
    spec = subtask.batch.tools.get(name)
    if spec is None:
        raise UserError(f"step '{subtask.todo.step}' calls the tool '{name}', which nobody declares")
    tools = await worker.toolbox.bound({name: spec}, subtask.place, subtask.planned.step.options)
    if name not in tools:
        raise UserError(f"tool '{name}' is a whole MCP server; a step names one of its tools with the option `tool`")
    return tools[name]


async def _attempt(
    subtask: Subtask, tool: BoundTool, arguments: JsonObject, state: AttemptState, worker: Worker
) -> Verdict | Defer:
    batch, started_at = subtask.batch, datetime.now(UTC)
    try:
        async with worker.places.held(batch.tier, batch.priority):
            if (off := worker.called_off(batch)) is not None:
                return off
            with worker.calling(batch.job):
                result = await worker.toolbox.call(tool, arguments, options=subtask.planned.step.options)
    except asyncio.CancelledError:
        off = worker.called_off(batch)
        if off is None:
            raise
        return off
    verdict = _verdict(subtask, result, used=state.used + 1)
    state.attempts.append(_record(subtask, result, state.n, started_at, verdict))
    state.n += 1
    return verdict


def _verdict(subtask: Subtask, result: ToolResult, *, used: int) -> Verdict:
    if result.error is None:
        return Accept(reason="the tool answered; its result was cut" if result.truncated else "the tool answered")
    policy = subtask.planned.policy
    calls = min(policy.attempts_per_tier, _MOST_CALLS) if result.transient else 1
    return decide(
        Situation(
            policy=policy.evolve(attempts_per_tier=calls),
            tier=subtask.batch.tier.name,
            # Nothing stands above a tool.
            ladder=(subtask.batch.tier.name,),
            used=min(used, calls),
            error=ErrorKind.TOOL,
            detail=result.error,
        )
    )


def _record(subtask: Subtask, result: ToolResult, n: int, started_at: datetime, verdict: Verdict) -> Attempt:
    return Attempt(
        item=subtask.work.item,
        step=subtask.todo.step,
        n=n,
        tier=subtask.batch.tier.name,
        model=subtask.planned.step.tool or "",
        started_at=started_at,
        latency_s=(datetime.now(UTC) - started_at).total_seconds(),
        cost_usd=0.0,
        value=result.value,
        error=None if result.error is None else ErrorKind.TOOL,
        detail=result.error,
        verdict=verdict.kind,
        reason=verdict.reason,
    )
