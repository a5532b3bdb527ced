"""One subtask on one tier: call, check, decide; again with feedback; until it settles or is left to others."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from schemas.attempt import Attempt, ErrorKind
from schemas.base import Json, JsonObject
from schemas.batch import Batch, Left, Settled, Todo, Work
from schemas.check import CheckResult
from schemas.plan import PlannedStep
from schemas.skill import Skill
from schemas.tier import Model, Tier
from schemas.verdict import Accept, Defer, Escalate, Parked, Refer, Reject, Retry, Review, Verdict
from workers.checks import run_checks, runs_user_code
from workers.confidence import Answered, Ask, assess, top_logprobs
from workers.gateway import Call, Message, Reply
from workers.inputs import Unfit, inputs_of
from workers.paid import Kept
from workers.policy import Situation, decide, threshold_of
from workers.prompt import messages
from workers.worker import Worker

_log = logging.getLogger(__name__)

#: The provider's or the model's own fault: another model takes over, the subtask loses no attempt.
FAULTS = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.QUOTA,
        ErrorKind.RATE,
        ErrorKind.SERVER,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECTION,
        ErrorKind.BAD_REQUEST,
        ErrorKind.NOT_FOUND,
    }
)


@dataclass(frozen=True, slots=True)
class Subtask:
    """A step for one item as a worker sees it."""

    batch: Batch
    work: Work
    planned: PlannedStep
    todo: Todo
    #: What earlier steps answered.
    values: Mapping[str, Json]
    #: Answers of an earlier delivery, already paid for.
    paid: Mapping[str, Kept]

    @property
    def skill(self) -> Skill:
        """The skill of its step."""
        return self.batch.skills[self.planned.step.skill or ""]

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders of the user's own functions."""
        return tuple(Path(folder) for folder in self.batch.folders)


@dataclass(frozen=True, slots=True)
class Outcome:
    """All attempts in order, and how the subtask ended here."""

    attempts: tuple[Attempt, ...]
    end: Settled | Left


@dataclass(slots=True)
class _Line:
    """How far a subtask has come on this tier."""

    n: int
    used: int
    feedback: tuple[str, ...]
    effort: str | None
    previous: str | None = None
    #: Models that failed on their own account since the last answer.
    avoid: set[str] = field(default_factory=set)
    attempts: list[Attempt] = field(default_factory=list)


async def answer(subtask: Subtask, worker: Worker) -> Outcome:
    """Try a subtask on its batch's tier until a verdict ends it here."""
    todo = subtask.todo
    line = _Line(todo.n, todo.used, todo.feedback, todo.effort)
    try:
        return await _answer(subtask, line, worker)
    except Exception as error:
        # A bug of ours must not take the neighbours along, nor come back for ever; what was paid stays on record.
        _log.exception("subtask.bug", extra={"job": subtask.batch.job, "step": todo.step, "item": subtask.work.item})
        reason = f"internal error in step '{todo.step}': {type(error).__name__}; the worker's log has the traceback"
        return _leave(todo, line, Reject(reason=reason))


async def _answer(subtask: Subtask, line: _Line, worker: Worker) -> Outcome:
    todo = subtask.todo
    inputs = inputs_of(subtask.planned.step, subtask.skill, subtask.work.input, subtask.values)
    if isinstance(inputs, Unfit):
        return _leave(todo, line, Reject(reason=inputs.reason))
    while True:
        verdict = await _attempt(subtask, inputs, line, worker)
        match verdict:
            case None:
                continue
            case Accept():
                last = line.attempts[-1]
                return Outcome(tuple(line.attempts), Settled(step=todo.step, n=last.n, value=last.value))
            case Retry():
                line.used += 1
                line.feedback, line.effort = verdict.feedback, verdict.effort or line.effort
                line.previous = line.attempts[-1].text
            case Escalate() | Refer() | Review() | Reject():
                line.feedback = _feedback(line)
                return _leave(todo, line, verdict)
            case Defer():
                return _leave(todo, line, verdict)
            case _:
                assert_never(verdict)


def _leave(todo: Todo, line: _Line, verdict: Parked) -> Outcome:
    left = Left(step=todo.step, n=line.n, used=line.used, verdict=verdict, feedback=line.feedback, effort=line.effort)
    return Outcome(tuple(line.attempts), left)


def _feedback(line: _Line) -> tuple[str, ...]:
    """Return what a stronger tier should know: what the checks said of the last answer."""
    failed = [check for check in line.attempts[-1].checks if not check.passed] if line.attempts else []
    return tuple(check.feedback for check in failed if check.feedback) or line.feedback


async def _attempt(subtask: Subtask, inputs: JsonObject, line: _Line, worker: Worker) -> Verdict | Defer | None:
    """Make one attempt; None when the model failed on its own account and another may take over."""
    tier = subtask.batch.tier
    model = worker.gate.pick(tier, avoid=line.avoid)
    if isinstance(model, Defer):
        return model
    prompt = messages(
        subtask.skill,
        inputs,
        feedback=line.feedback,
        instruction=subtask.todo.instruction,
        previous=line.previous,
    )
    said = await _paid(subtask, _call(subtask, model, prompt, line), tier, line, worker)
    if isinstance(said, Defer):
        return said
    attempt, reply = said
    if reply.error in FAULTS:
        line.avoid.add(model.name)
        line.attempts.append(attempt.model_copy(update={"verdict": "fault", "reason": reply.detail or ""}))
        return None
    line.avoid.clear()
    return await _judge(subtask, inputs, prompt, line, worker, attempt, reply)


async def _judge(
    subtask: Subtask,
    inputs: JsonObject,
    prompt: tuple[Message, ...],
    line: _Line,
    worker: Worker,
    attempt: Attempt,
    reply: Reply,
) -> Verdict:
    """Check an answer, weigh it and record what follows."""
    skill, planned, tier = subtask.skill, subtask.planned, subtask.batch.tier
    value: Json = reply.text if skill.is_text else reply.value
    checks = await _checks(subtask, inputs, value, reply) if reply.error is None else ()
    situation = Situation(
        policy=planned.policy,
        tier=tier.name,
        ladder=subtask.batch.ladder,
        used=line.used + 1,
        error=reply.error,
        detail=reply.detail,
        checks=checks,
        threshold=planned.thresholds.get(tier.name),
        effort=line.effort,
    )
    line.attempts.append(attempt)
    at = len(line.attempts) - 1
    if reply.error is None and not situation.failed and _is_weighed(situation):
        answered = Answered(skill, prompt, inputs, reply, value, subtask.work.input, subtask.folders)
        found = await assess(answered, _Asker(subtask, line, worker))
        situation = replace(situation, confidence=found)
    verdict = decide(situation)
    line.attempts[at] = attempt.model_copy(
        update={
            "value": value,
            "error": _error(situation, verdict),
            "checks": checks,
            "confidence": situation.confidence,
            "verdict": verdict.kind,
            "reason": verdict.reason,
        }
    )
    if at != len(line.attempts) - 1:
        # What was asked to weigh the answer stands before it: the last attempt is the one that was judged.
        line.attempts.append(line.attempts.pop(at))
    return verdict


def _is_weighed(situation: Situation) -> bool:
    threshold = threshold_of(situation)
    return threshold is not None and threshold.value is not None


async def _checks(subtask: Subtask, inputs: JsonObject, value: Json, reply: Reply) -> tuple[CheckResult, ...]:
    skill, tier = subtask.skill, subtask.batch.tier.name
    item = {**subtask.work.input, **inputs}

    def run() -> tuple[CheckResult, ...]:
        return run_checks(skill, value, text=reply.text, item=item, tier=tier, folders=subtask.folders)

    # A user's function may take its time; the loop has other calls to look after.
    return await asyncio.to_thread(run) if runs_user_code(skill) else run()


def _error(situation: Situation, verdict: Verdict) -> ErrorKind | None:
    if situation.error is not None:
        return situation.error
    if situation.failed:
        return ErrorKind.OFF_SCHEMA if situation.failed[0].check == "schema" else ErrorKind.CHECKS
    return ErrorKind.UNSURE if isinstance(verdict, Escalate) else None


def _call(subtask: Subtask, model: Model, prompt: tuple[Message, ...], line: _Line) -> Call:
    skill, planned = subtask.skill, subtask.planned
    params: JsonObject = dict(skill.params)
    if line.effort is not None:
        params["reasoning_effort"] = line.effort
    weighed = subtask.batch.tier.name in planned.thresholds or planned.policy.min_confidence is not None
    return Call(
        model=model,
        messages=prompt,
        schema=None if skill.is_text else skill.output,
        schema_name=skill.name,
        timeout_s=subtask.batch.tier.timeout_s,
        params=params,
        top_logprobs=top_logprobs(skill) if weighed and model.logprobs else None,
    )


@dataclass(frozen=True, slots=True)
class _Asker:
    """Makes the further calls that a confidence signal wants, each an attempt of its own."""

    subtask: Subtask
    line: _Line
    worker: Worker

    async def __call__(self, ask: Ask) -> Reply | None:
        batch = self.subtask.batch
        tier = batch.tier if ask.tier is None else batch.others.get(ask.tier)
        model = None if tier is None else self.worker.gate.pick(tier)
        if tier is None or model is None or isinstance(model, Defer):
            return None
        call = Call(
            model=model,
            messages=ask.messages,
            schema=ask.schema,
            schema_name=ask.schema_name,
            timeout_s=tier.timeout_s,
            params=ask.params,
            top_logprobs=ask.top_logprobs if model.logprobs else None,
        )
        said = await _paid(self.subtask, call, tier, self.line, self.worker)
        if isinstance(said, Defer):
            return None
        attempt, reply = said
        value: Json = reply.text if ask.schema is None else reply.value
        changes = {"purpose": ask.purpose, "value": value, "verdict": "asked", "reason": "to weigh an answer"}
        self.line.attempts.append(attempt.model_copy(update=changes))
        return reply


async def _paid(subtask: Subtask, call: Call, tier: Tier, line: _Line, worker: Worker) -> tuple[Attempt, Reply] | Defer:
    """Return a call's attempt and reply: the reply kept from an earlier delivery, or a new one that is kept at once."""
    batch, item, step, n = subtask.batch, subtask.work.item, subtask.todo.step, line.n
    kept = subtask.paid.get(f"{item}:{step}:{n}")
    if kept is not None:
        line.n += 1
        return _record(subtask, call, tier, n, kept.reply, kept.started_at, line.effort), kept.reply
    async with worker.slots(tier):
        if (off := worker.called_off(batch.job)) is not None:
            return off
        guess = worker.estimator.estimate(call)
        permit = await worker.gate.enter(
            tier=tier,
            model=call.model,
            rations=batch.rations,
            tokens=guess.tokens,
            cost_usd=guess.cost_usd,
            firm=guess.firm,
        )
        if isinstance(permit, Defer):
            return permit
        line.n += 1
        reply: Reply | None = None
        started_at = datetime.now(UTC)
        try:
            with worker.calling(batch.job):
                reply = await worker.gateway.call(call)
        except asyncio.CancelledError:
            off = worker.called_off(batch.job)
            if off is None:
                raise
            line.attempts.append(_broken_off(subtask, call, tier, n, started_at, line.effort, off.reason))
            return off
        finally:
            await worker.gate.leave(permit, reply=reply)
    if reply.error in FAULTS:
        worker.gate.fault(tier, call.model, reply)
    else:
        worker.gate.success(tier, call.model)
    worker.estimator.learn(call, reply)
    worker.paid.keep(batch=batch.id, item=item, step=step, n=n, kept=Kept(started_at, reply))
    return _record(subtask, call, tier, n, reply, started_at, line.effort), reply


def _broken_off(
    subtask: Subtask, call: Call, tier: Tier, n: int, started_at: datetime, effort: str | None, reason: str
) -> Attempt:
    """Return the attempt of a call that was cancelled while it ran: the provider may bill it, nobody knows how much."""
    reply = Reply(latency_s=(datetime.now(UTC) - started_at).total_seconds())
    attempt = _record(subtask, call, tier, n, reply, started_at, effort)
    return attempt.model_copy(update={"verdict": "cancelled", "reason": reason})


def _record(
    subtask: Subtask, call: Call, tier: Tier, n: int, reply: Reply, started_at: datetime, effort: str | None
) -> Attempt:
    skill = subtask.skill
    # Every field is of the right type already; validating twenty a call would cost as much as the call's own work.
    return Attempt.model_construct(
        item=subtask.work.item,
        step=subtask.todo.step,
        n=n,
        tier=tier.name,
        model=call.model.name,
        started_at=started_at,
        latency_s=reply.latency_s,
        usage=reply.usage,
        cost_usd=reply.cost_usd,
        price_source=reply.price_source,
        finish_reason=reply.finish_reason,
        structured=reply.structured,
        text=reply.text,
        error=reply.error,
        detail=reply.detail,
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
        effort=effort,
    )
