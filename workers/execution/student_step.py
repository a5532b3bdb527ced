"""A subtask that a student answers: what it is sure of settles for free, a share of it is audited, the rest climbs."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from functools import partial

from firstline.schemas.attempt import Attempt, ErrorKind, Usage
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.check import CheckResult
from firstline.schemas.policy import Confidence
from firstline.schemas.verdict import Accept, Defer, DeferCause, Escalate
from firstline.workers.checks import may_block, run_checks
from firstline.workers.durability.students import FRESH_S, StudentInForce
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.subtask import Subtask
from firstline.workers.rules.closed_answers import item_text
from firstline.workers.worker import Worker

#: What an audit is told apart by in the records.
AUDITED = "drawn for an audit of the student"
SIGNAL = "student_margin"
#: Seconds that a sure answer waits while as many audits are out as could end its student: where it is, then put off.
WAIT_S, AGAIN_S = 1.0, 2.0


async def answer_by_student(
    subtask: Subtask, inputs: JsonObject, state: AttemptState, worker: Worker
) -> Accept | Escalate | Defer:
    """Answer at once where the student is sure, else leave the subtask to the ladder; nothing is called or paid."""
    student = await worker.students.of(subtask.batch.job, subtask.todo.step)
    if student is None:
        return Escalate(reason="no student answers this step just now")
    started_at = datetime.now(UTC)
    numbers, margins = student.model.answer([item_text(inputs)])
    margin, took_s = float(margins[0]), (datetime.now(UTC) - started_at).total_seconds()
    if margin < student.margin:
        return Escalate(reason="the student is not sure enough")
    value: Json = json.loads(student.model.answers[int(numbers[0])])
    item = {**subtask.work.input, **inputs}
    check = partial(run_checks, subtask.skill, value, item=item, tier=subtask.batch.tier.name, folders=subtask.folders)
    checks = await asyncio.to_thread(check) if may_block(subtask.skill) else check()
    failed = next((check for check in checks if not check.passed), None)
    if failed is None and not student.has_room and not await _wait_for_room(subtask, student, margin, worker):
        return Defer(cause=DeferCause.LIMIT, wait_s=AGAIN_S, reason="the student waits for its audits")
    verdict = _verdict(subtask, student, failed)
    if isinstance(verdict, Escalate) and verdict.to_top:
        await worker.students.draw(subtask.batch.job, subtask.todo.step, subtask.work.item)
    confidence = Confidence(signal=SIGNAL, value=margin)
    attempt = _attempt(subtask, state.n, f"student/{student.id}", started_at, took_s)
    state.add(
        attempt,
        verdict=verdict.kind,
        reason=verdict.reason,
        value=value,
        checks=checks,
        confidence=confidence,
        error=ErrorKind.CHECKS if failed is not None else None,
    )
    state.n += 1
    return verdict


async def _wait_for_room(subtask: Subtask, student: StudentInForce, margin: float, worker: Worker) -> bool:
    """Wait until another audit may be drawn; False: it took too long, or another student answers by now."""
    for _ in range(round(WAIT_S / FRESH_S)):
        await asyncio.sleep(FRESH_S)
        now = await worker.students.of(subtask.batch.job, subtask.todo.step)
        if now is None or now.id != student.id or margin < now.margin:
            return False
        if now.has_room:
            return True
    return False


def is_audited(job: str, item: int, step: str, share: float) -> bool:
    """Toss the coin of one subtask: its own, whichever delivery asks, and independent of what the item holds."""
    drawn = int.from_bytes(hashlib.sha256(f"student:{job}:{item}:{step}".encode()).digest()[:8])
    return drawn < share * 2**64


def _verdict(subtask: Subtask, student: StudentInForce, failed: CheckResult | None) -> Accept | Escalate:
    if failed is not None:
        return Escalate(reason=f"the student's answer failed the check '{failed.check}'")
    if is_audited(subtask.batch.job, subtask.work.item, subtask.todo.step, student.audit_share):
        return Escalate(reason=AUDITED, to_top=True)
    return Accept(reason="the student is sure, within its promise")


def _attempt(subtask: Subtask, n: int, model: str, started_at: datetime, took_s: float) -> Attempt:
    skill = subtask.skill
    return Attempt(
        item=subtask.work.item,
        step=subtask.todo.step,
        n=n,
        tier=subtask.batch.tier.name,
        model=model,
        started_at=started_at,
        latency_s=took_s,
        usage=Usage(input_tokens=0, output_tokens=0),
        cost_usd=0.0,
        price_source="own",
        skill=skill.name,
        skill_version=skill.version,
        skill_digest=skill.digest,
    )
