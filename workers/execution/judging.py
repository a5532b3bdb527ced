"""An answer is checked, weighed where a threshold is known, and recorded with what follows from it."""

import asyncio
from dataclasses import dataclass, replace

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Json
from firstline.schemas.check import CheckResult
from firstline.schemas.verdict import Accept, Defer, Escalate, Verdict
from firstline.workers.checks import may_block, run_checks
from firstline.workers.checks.repair import repair
from firstline.workers.confidence import Ask, CheckedAnswer, assess
from firstline.workers.durability.response_cache import CachedAnswer
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.calling import Calls, ModelAnswer
from firstline.workers.execution.subtask import Subtask
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.combined_signal import as_asked
from firstline.workers.rules.policy import Situation, decide, threshold_of


async def judge(calls: Calls, said: ModelAnswer) -> Verdict | None:
    """Return what follows from an answer, None where it is asked again at once; its last attempt is the judged one."""
    subtask, state = calls.subtask, calls.state
    skill, reply, place = subtask.skill, said.reply, len(state.attempts)
    # It was paid for, so it is on record whatever happens from here on.
    state.attempts.append(said.attempt)
    value: Json = reply.plain if skill.is_text else reply.value
    checks: tuple[CheckResult, ...] = ()
    if reply.error is None:
        value, checks = await _checked(subtask, said, value)
    situation = _situation(subtask, state, reply, checks, model=said.attempt.model)
    threshold = threshold_of(situation)
    if reply.error is None and not situation.failed and threshold is not None and threshold.value is not None:
        item = subtask.work.input
        answered = CheckedAnswer(skill, said.prompt, said.inputs, reply, value, item, subtask.folders)
        found = said.confidence or await assess(answered, _Asker(calls, said.attempt.model), threshold.signal)
        situation = replace(situation, confidence=as_asked(found, threshold))
    verdict = decide(situation)
    # A pack may be to blame itself: that the item is asked alone now costs it none of its attempts.
    is_unpacked = reply.packed > 1 and not isinstance(verdict, Accept)
    unpacked = f"; it was one of a pack of {reply.packed} and is asked alone" if is_unpacked else ""
    # What was asked to weigh the answer stands before it: the last attempt is the one that was judged.
    del state.attempts[place]
    state.add(
        said.attempt,
        value=value,
        error=_error(situation, verdict),
        checks=checks,
        confidence=situation.confidence,
        verdict="unpacked" if is_unpacked else verdict.kind,
        reason=f"{verdict.reason}{unpacked}",
    )
    if isinstance(verdict, Accept) and said.key is not None and not said.attempt.from_cache:
        calls.worker.cache.keep(said.key, CachedAnswer(reply, situation.confidence))
    state.alone = state.alone or is_unpacked
    return None if is_unpacked else verdict


def _situation(
    subtask: Subtask, state: AttemptState, reply: Reply, checks: tuple[CheckResult, ...], *, model: str
) -> Situation:
    tier = subtask.batch.tier.name
    attempts = subtask.planned.attempts_on(tier, subtask.work.item)
    return Situation(
        policy=subtask.planned.policy,
        attempts=attempts,
        tier=tier,
        ladder=subtask.batch.ladder,
        used=state.used + 1,
        error=reply.error,
        detail=reply.detail,
        checks=checks,
        threshold=subtask.planned.threshold(tier, model),
        effort=state.effort,
    )


async def _checked(subtask: Subtask, said: ModelAnswer, value: Json) -> tuple[Json, tuple[CheckResult, ...]]:
    """Return the answer as its skill's repair leaves it, and what the checks say of that."""
    skill, tier = subtask.skill, subtask.batch.tier.name
    item = {**subtask.work.input, **said.inputs}

    def run() -> tuple[Json, tuple[CheckResult, ...]]:
        repaired, broken = repair(skill, value, item=item, folders=subtask.folders)
        checks = run_checks(skill, repaired, text=said.reply.text, item=item, tier=tier, folders=subtask.folders)
        return repaired, (*broken, *checks)

    # What runs in another process may take its time; the loop has other calls to look after.
    return await asyncio.to_thread(run) if may_block(skill) else run()


def _error(situation: Situation, verdict: Verdict) -> ErrorKind | None:
    if situation.error is not None:
        return situation.error
    if situation.failed:
        return ErrorKind.OFF_SCHEMA if situation.failed[0].check == "schema" else ErrorKind.CHECKS
    return ErrorKind.UNSURE if isinstance(verdict, Escalate) else None


@dataclass(frozen=True, slots=True)
class _Asker:
    """Makes the further calls that a confidence signal wants, each an attempt of its own."""

    calls: Calls
    #: Name of the model whose answer is weighed: how far another one agrees with it says nothing of that.
    model: str

    async def __call__(self, ask: Ask) -> Reply | None:
        batch = self.calls.subtask.batch
        tier = batch.tier.only(self.model) if ask.tier is None else batch.others.get(ask.tier)
        model = None if tier is None else self.calls.worker.gate.pick(tier)
        if tier is None or model is None or isinstance(model, Defer):
            return None
        schema = ask.question if model.decides and ask.schema is None else ask.schema
        call = Call(
            model=model,
            messages=ask.messages,
            schema=schema,
            schema_name=ask.schema_name,
            timeout_s=tier.timeout_s,
            params=ask.params,
            top_logprobs=ask.top_logprobs if model.logprobs else None,
        )
        said = await self.calls.book(call, tier)
        if isinstance(said, Defer):
            return None
        attempt, reply = said
        value: Json = reply.plain if schema is None else reply.value
        self.calls.state.add(attempt, purpose=ask.purpose, value=value, verdict="asked", reason="to weigh an answer")
        return reply
