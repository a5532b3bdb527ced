"""Subtasks that nobody could answer: the orchestrator model is asked what to do, and its word is carried out.

A referral is a subtask of its own, `STEP__refer0`, that travels, is paid for and is rescued like any other. A subtask
that is split goes on as `STEP__part0_0`, `STEP__part0_1`, ..., and is then asked once more, with their answers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ValidationError
from sqlalchemy import Connection

from config.draft import RESERVED
from orchestrator.engine import Job
from orchestrator.ladder import Sub
from orchestrator.patterns.base import View
from orchestrator.store import items
from schemas.base import Json, JsonObject
from schemas.plan import Plan, PlannedStep
from schemas.policy import LastResort
from workers.inputs import Unfit, inputs_of

_NAME = re.compile(rf"(?P<base>.+){RESERVED}(?P<what>refer|part)(?P<round>\d+)(_\d+)?")
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
class Referred:
    """A decision that was carried out, for the record."""

    step: str
    #: Name of the subtask that was answered with it.
    asked: str
    choice: str
    reason: str
    data: JsonObject = field(default_factory=dict)


def base_of(name: str) -> str | None:
    """Return the step that a referral or a part belongs to; None for any other subtask."""
    found = _NAME.fullmatch(name)
    return found["base"] if found else None


def is_referral(name: str) -> bool:
    """Whether a subtask is a question to the orchestrator model about another one."""
    found = _NAME.fullmatch(name)
    return found is not None and found["what"] == "refer"


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
) -> tuple[dict[str, Sub], tuple[Referred, ...]]:
    """Return an item's subtasks with what is referred asked about or done as was decided, and those decisions."""
    after = dict(subs)
    decided: list[Referred] = []
    for sub in subs.values():
        if sub.state == "referred":
            changed, word = _carry_out_one(sub, after, plan, ladder)
            after |= changed
            decided += word
    return {name: _closed(sub, after) for name, sub in after.items()}, tuple(decided)


def _closed(sub: Sub, subs: Mapping[str, Sub]) -> Sub:
    """Drop a question or a part that nobody waits for any more: its item was tried again meanwhile."""
    base = base_of(sub.step)
    if base is None or sub.ended or subs[base].state == "referred":
        return sub
    return replace(sub, state="skipped", batch=None)


def _carry_out_one(
    sub: Sub, subs: Mapping[str, Sub], plan: Plan, ladder: tuple[str, ...]
) -> tuple[dict[str, Sub], list[Referred]]:
    name = f"{sub.step}{RESERVED}refer{sub.referrals}"
    asked = subs.get(name)
    if asked is None:
        return _ask(sub, name, plan), []
    if asked.state == "failed":
        reason = f"{sub.reason}; the orchestrator model was asked and gave no usable answer"
        return {sub.step: replace(sub, state="failed", reason=reason)}, []
    if asked.state != "settled":
        return {}, []
    parts = [one for one in subs.values() if one.step.startswith(f"{sub.step}{RESERVED}part{sub.referrals}_")]
    if parts:
        return _bring_together(sub, parts), []
    try:
        word = Word.model_validate(asked.value)
    except ValidationError:
        return {
            sub.step: replace(sub, state="failed", reason=f"{sub.reason}; the referral's answer was no decision")
        }, []
    return _obey(sub, word, plan, ladder), [Referred(sub.step, name, word.decision, word.reason, _data(word))]


def _data(word: Word) -> JsonObject:
    parts: list[Json] = list(word.parts)
    found: JsonObject = {"instruction": word.instruction, "tier": word.tier, "parts": parts}
    return {name: value for name, value in found.items() if value}


def _ask(sub: Sub, name: str, plan: Plan) -> dict[str, Sub]:
    rounds = plan.step(sub.step).policy.refer_rounds
    if plan.refer is None or sub.referrals >= rounds:
        reason = f"{sub.reason}; the orchestrator model was asked {sub.referrals} of {rounds} times"
        return {sub.step: replace(sub, state="failed", reason=reason)}
    return {name: Sub(name, plan.refer.start_tier)}


def _obey(sub: Sub, word: Word, plan: Plan, ladder: tuple[str, ...]) -> dict[str, Sub]:
    again = replace(sub, state="open", used=0, effort=None, batch=None, referrals=sub.referrals + 1)
    match word.decision:
        case "revise":
            return {sub.step: replace(again, instruction=word.instruction or word.reason)}
        case "tier" if word.tier in ladder:
            return {sub.step: replace(again, tier=word.tier)}
        case "tier":
            reason = f"{sub.reason}; the referral named tier '{word.tier}', which is not on the ladder"
            return {sub.step: replace(sub, state="failed", reason=reason)}
        case "split" if len(word.parts) < 2:
            return {sub.step: replace(sub, state="failed", reason=f"{sub.reason}; it was to be split into no parts")}
        case "split":
            first = plan.step(sub.step).start_tier
            names = (f"{sub.step}{RESERVED}part{sub.referrals}_{n}" for n in range(_MOST_PARTS))
            return {name: Sub(name, first, instruction=part) for name, part in zip(names, word.parts, strict=False)}
        case "person":
            return {sub.step: replace(sub, state="review", reason=word.reason or sub.reason)}
        case "give_up":
            return {sub.step: replace(sub, state="failed", reason=word.reason or sub.reason)}


def _bring_together(sub: Sub, parts: list[Sub]) -> dict[str, Sub]:
    """Return the subtask asked once more, with its parts' answers, when all have ended; failed when one has failed."""
    failed = next((part for part in parts if part.state == "failed"), None)
    if failed is not None:
        return {sub.step: replace(sub, state="failed", reason=f"it was split, and a part failed: {failed.reason}")}
    if not all(part.ended for part in parts):
        return {}
    answers = json.dumps([part.value for part in parts], ensure_ascii=False)[:_PARTS_CHARS]
    told = (
        f"Parts of this task have been answered one by one. Make one answer of them, in the form asked for: {answers}"
    )
    again = replace(sub, state="open", used=0, effort=None, batch=None, referrals=sub.referrals + 1, feedback=())
    return {sub.step: replace(again, instruction=told)}


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
