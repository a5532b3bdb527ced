"""Subtasks that nobody could answer: the orchestrator model is asked what to do, and its word is carried out.

A referral is a subtask of its own, `STEP__refer0`, that travels, is paid for and is rescued like any other. A subtask
that is split goes on as `STEP__part0_0`, `STEP__part0_1`, ..., and is then asked once more, with their answers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import Sub
from firstline.orchestrator.core.subtask_names import base_of, is_referral, part, referral
from firstline.orchestrator.plans.patterns.base import View
from firstline.orchestrator.store import decisions, items
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.batch import ItemTrail
from firstline.schemas.plan import Plan, PlannedStep
from firstline.schemas.policy import LastResort
from firstline.schemas.states import SubtaskState
from firstline.workers.rules.step_inputs import Unfit, inputs_of

_FAILURES = 6
_ANSWER_CHARS = 2_000
_PARTS_CHARS = 40_000
_MOST_PARTS = 8


class Word(BaseModel):
    """What the orchestrator model said about a subtask; whatever else it said is ignored."""

    decision: Literal["revise", "split", "tier", "person", "give_up"]
    reason: str = ""
    instruction: str = ""
    tier: str = ""
    parts: list[str] = []


@dataclass(frozen=True)
class ReferralRecord:
    """A decision that was carried out, for the record."""

    step: str
    #: Name of the subtask that was answered with it.
    asked: str
    choice: str
    reason: str
    data: JsonObject = field(default_factory=dict)


def planned_of(plan: Plan, name: str) -> PlannedStep:
    """Return a subtask's planned step: the plan's, or for a referral or a part what is made for it."""
    base = base_of(name)
    if base is None:
        return plan.step(name)
    if is_referral(name):
        assert plan.refer is not None
        return plan.refer.evolve(step=plan.refer.step.evolve(name=name))
    planned = plan.step(base)
    step = planned.step.evolve(name=name, when=None, after=())
    return planned.evolve(step=step, policy=planned.policy.evolve(last_resort=LastResort.REJECT))


def carry_out(
    subs: Mapping[str, Sub], *, plan: Plan, ladder: tuple[str, ...]
) -> tuple[dict[str, Sub], tuple[ReferralRecord, ...]]:
    """Return an item's subtasks with what is referred asked about or done as was decided, and those decisions."""
    after = dict(subs)
    decided: list[ReferralRecord] = []
    for sub in subs.values():
        if sub.state == SubtaskState.REFERRED:
            changed, word = _carry_out_one(sub, after, plan, ladder)
            after |= changed
            decided += word
    return {name: _closed(sub, after) for name, sub in after.items()}, tuple(decided)


def _closed(sub: Sub, subs: Mapping[str, Sub]) -> Sub:
    """Drop a question or a part that nobody waits for any more: its item was tried again meanwhile."""
    base = base_of(sub.step)
    if base is None or sub.ended or subs[base].state == SubtaskState.REFERRED:
        return sub
    return sub._replace(state=SubtaskState.SKIPPED, batch=None)


def _carry_out_one(
    sub: Sub, subs: Mapping[str, Sub], plan: Plan, ladder: tuple[str, ...]
) -> tuple[dict[str, Sub], list[ReferralRecord]]:
    name = referral(sub.step, sub.referrals)
    asked = subs.get(name)
    if asked is None:
        return _ask(sub, name, plan), []
    if asked.state == SubtaskState.FAILED:
        reason = f"{sub.reason}; the orchestrator model was asked and gave no usable answer"
        return {sub.step: sub._replace(state=SubtaskState.FAILED, reason=reason)}, []
    if asked.state != SubtaskState.SETTLED:
        return {}, []
    names = [part(sub.step, sub.referrals, number) for number in range(_MOST_PARTS)]
    parts = [subs[one] for one in names if one in subs]
    if parts:
        return _bring_together(sub, parts), []
    try:
        word = Word.model_validate(asked.value)
    except ValidationError:
        return {
            sub.step: sub._replace(
                state=SubtaskState.FAILED, reason=f"{sub.reason}; the referral's answer was no decision"
            )
        }, []
    return _obey(sub, word, plan, ladder), [ReferralRecord(sub.step, name, word.decision, word.reason, _data(word))]


def _data(word: Word) -> JsonObject:
    parts: list[Json] = list(word.parts)
    found: JsonObject = {"instruction": word.instruction, "tier": word.tier, "parts": parts}
    return {name: value for name, value in found.items() if value}


def _ask(sub: Sub, name: str, plan: Plan) -> dict[str, Sub]:
    rounds = plan.step(sub.step).policy.refer_rounds
    if plan.refer is None or sub.referrals >= rounds:
        reason = f"{sub.reason}; the orchestrator model was asked {sub.referrals} of {rounds} times"
        return {sub.step: sub._replace(state=SubtaskState.FAILED, reason=reason)}
    return {name: Sub(name, plan.refer.start_tier)}


def _obey(sub: Sub, word: Word, plan: Plan, ladder: tuple[str, ...]) -> dict[str, Sub]:
    again = sub._replace(
        state=SubtaskState.OPEN, used=0, faults=0, effort=None, batch=None, referrals=sub.referrals + 1
    )
    match word.decision:
        case "revise":
            return {sub.step: again._replace(instruction=word.instruction or word.reason)}
        case "tier" if word.tier in ladder:
            return {sub.step: again._replace(tier=word.tier)}
        case "split" if len(word.parts) > 1:
            first = plan.step(sub.step).start_tier
            told = {part(sub.step, sub.referrals, n): text for n, text in enumerate(word.parts[:_MOST_PARTS])}
            return {name: Sub(name, first, instruction=text) for name, text in told.items()}
        case "person":
            return {sub.step: sub._replace(state=SubtaskState.REVIEW, reason=word.reason or sub.reason)}
        case "give_up":
            return {sub.step: sub._replace(state=SubtaskState.FAILED, reason=word.reason or sub.reason)}
        case "tier" | "split":
            reason = f"{sub.reason}; the referral's decision `{word.decision}` cannot be carried out"
            return {sub.step: sub._replace(state=SubtaskState.FAILED, reason=reason)}
    assert_never(word.decision)


def _bring_together(sub: Sub, parts: list[Sub]) -> dict[str, Sub]:
    """Return the subtask asked once more, with its parts' answers, when all have ended; failed when one has failed."""
    failed = next((one for one in parts if one.state == SubtaskState.FAILED), None)
    if failed is not None:
        return {
            sub.step: sub._replace(
                state=SubtaskState.FAILED, reason=f"it was split, and a part failed: {failed.reason}"
            )
        }
    if not all(one.ended for one in parts):
        return {}
    answers = json.dumps([one.value for one in parts], ensure_ascii=False)[:_PARTS_CHARS]
    told = (
        f"Parts of this task have been answered one by one. Make one answer of them, in the form asked for: {answers}"
    )
    fresh = sub._replace(state=SubtaskState.OPEN, used=0, faults=0, effort=None, batch=None)
    again = fresh._replace(referrals=sub.referrals + 1, feedback=())
    return {sub.step: again._replace(instruction=told)}


def view(tx: Connection, *, job: Job, name: str, n: int, item: JsonObject, values: Mapping[str, Json]) -> View:
    """Return what the orchestrator model is shown of a subtask that nobody could answer."""
    planned = job.plan.step(base_of(name) or name)
    skill = job.plan.skills.get(planned.step.skill or "")
    found = inputs_of(planned.step, skill, item, values) if skill else item
    task: JsonObject = {
        "instructions": skill.instructions if skill else planned.step.why,
        "output": skill.output if skill else {},
    }
    tiers: list[Json] = list(job.ladder)
    return View(
        {
            "task": task,
            "inputs": item if isinstance(found, Unfit) else found,
            "failures": _failures(tx, job, planned.step.name, n),
            "tiers": tiers,
        }
    )


def _failures(tx: Connection, job: Job, step: str, n: int) -> list[Json]:
    refused = [
        row
        for row in items.attempts(tx, job=job.id, item=n)
        if row["step"] == step and row["purpose"] == "answer" and row["verdict"] != "accept"
    ]
    return [
        {
            "tier": row["tier"],
            "answer": (row["text"] or "")[:_ANSWER_CHARS],
            "reason": _why(row["checks"], row["reason"]),
        }
        for row in refused[-_FAILURES:]
    ]


def _why(checks: list[JsonObject], reason: str) -> str:
    failed = [f"{check['check']}: {check['reason']}" for check in checks if check.get("reason")]
    return "; ".join(failed) or reason


def note_referred(
    tx: Connection, *, job: str, item: int, decided: Sequence[ReferralRecord], trail: ItemTrail | None
) -> None:
    """Record what was decided about an item's subtasks, and by which model."""
    models = {one.step: one.model for one in trail.attempts} if trail else {}
    for one in decided:
        decisions.note(
            tx,
            job=job,
            kind="refer",
            by=models.get(one.asked, "engine"),
            choice=one.choice,
            reason=one.reason,
            item=item,
            step=one.step,
            data=one.data,
        )
