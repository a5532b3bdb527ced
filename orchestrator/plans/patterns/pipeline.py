"""Sequential pipeline with checkpoints: a strong model reviews what has accumulated before more is built on it."""

import hashlib
import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.core.ladder import output
from firstline.orchestrator.plans.patterns.base import Next, View, all_items
from firstline.orchestrator.plans.patterns.rewind import dependents, rewind
from firstline.orchestrator.store import decisions, items, overview, rework, subtasks
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.plan import PlannedStep, Step
from firstline.workers.checks import run_checks
from firstline.workers.rules.json_paths import brief
from firstline.workers.rules.step_inputs import Unfit, inputs_of

#: Answers shown to a reviewer at most, whatever share is asked for.
MOST_SHOWN = 200
#: Part of the reviewing skill's limit that the answers may fill.
_FILL = 0.9
_OUTPUTS = "outputs"
_JOB_ID = "(job)"


def pipeline(steps: Sequence[Step], checkpoints: Mapping[str, Step] | None = None) -> tuple[Step, ...]:
    """Return steps that follow each other, with a checkpoint behind each step that `checkpoints` names."""
    found: list[Step] = []
    for step in steps:
        found.append(step.evolve(after=(*step.after, found[-1].name)) if found else step)
        if checkpoints and step.name in checkpoints:
            found.append(checkpoints[step.name].evolve(reviews=step.name))
    return tuple(found)


def view(tx: Connection, *, job: Job, planned: PlannedStep) -> View:
    """Return what a reviewer is shown: the task, a share of the answers, how many there are, the restarts left."""
    reviewed = _reviewed(job, planned)
    counts = overview.steps_by_state(tx, job=job.id).get(reviewed.step.name, {})
    rounds_left = _rounds_left(tx, job, planned)
    count = math.ceil(counts.get("settled", 0) * planned.step.sample)
    shown = _shown(tx, job, planned, reviewed, count=count, salt=str(rounds_left))
    asked = _told(tx, job, reviewed, counts, shown, rounds_left)
    return View(asked, all_items(tx, job=job, planned=planned))


def early_view(
    tx: Connection, *, job: Job, planned: PlannedStep, count: int, number: int, seen: Collection[str]
) -> JsonObject:
    """Return what a reviewer is shown while its step goes on: up to `count` answers that it has not seen yet."""
    reviewed = _reviewed(job, planned)
    counts = overview.steps_by_state(tx, job=job.id).get(reviewed.step.name, {})
    shown = _shown(tx, job, planned, reviewed, count=count, salt=f"look {number}", seen=seen)
    return _told(tx, job, reviewed, counts, shown, _rounds_left(tx, job, planned))


def _told(
    tx: Connection,
    job: Job,
    reviewed: PlannedStep,
    counts: Mapping[str, int],
    shown: list[Json],
    rounds_left: int,
) -> JsonObject:
    skill = job.plan.skills.get(reviewed.step.skill or "")
    task: JsonObject = {
        "step": reviewed.step.name,
        "instructions": skill.instructions if skill else reviewed.step.why,
        "output": skill.output if skill else {},
    }
    states = overview.by_state(tx, job=job.id)
    statistics: JsonObject = {
        "items": job.items,
        "settled": counts.get("settled", 0),
        "failed": states.get("failed", 0),
        "shown": len(shown),
    }
    return {"task": task, _OUTPUTS: shown, "statistics": statistics, "rounds_left": rounds_left}


def follow(tx: Connection, *, job: Job, planned: PlannedStep, value: Json, by: str) -> Next:
    """Proceed, correct what the reviewer corrects, or have the step done again; bounded by the step's `rounds`."""
    said = value if isinstance(value, dict) else {}
    reason = str(said.get("reason") or "")
    note = _Note(tx, job, planned, by)
    match said.get("decision"):
        case "correct":
            return _correct(note, said.get("corrections"), reason)
        case "restart":
            return _restart(note, said, reason)
        case _:
            note.write("proceed", reason)
            return Next(job)


class _Note:
    """A checkpoint's surroundings, and its place in the record of decisions."""

    def __init__(self, tx: Connection, job: Job, planned: PlannedStep, by: str) -> None:
        self.tx, self.job, self.planned, self.by = tx, job, planned, by
        self.reviewed = _reviewed(job, planned)

    def write(self, choice: str, reason: str, *, by: str | None = None, **data: Json) -> None:
        """Record what was decided."""
        step = self.planned.step.name
        decisions.note(
            self.tx,
            job=self.job.id,
            kind="checkpoint",
            by=by or self.by,
            choice=choice,
            reason=reason,
            step=step,
            data=data,
        )


def _reviewed(job: Job, planned: PlannedStep) -> PlannedStep:
    return job.plan.step(planned.step.reviews or "")


def _rounds_left(tx: Connection, job: Job, planned: PlannedStep) -> int:
    choices = ("restart", "ask_again")
    used = sum(
        decisions.count(tx, job=job.id, kind="checkpoint", choice=choice, step=planned.step.name) for choice in choices
    )
    return max(0, planned.step.rounds - used)


def _shown(
    tx: Connection,
    job: Job,
    planned: PlannedStep,
    reviewed: PlannedStep,
    *,
    count: int,
    salt: str,
    seen: Collection[str] = (),
) -> list[Json]:
    """Return some answers with what they answer, other ones by each salt, as many as the reviewer can take."""
    if reviewed.step.is_barrier:
        row = subtasks.of_items(tx, job=job.id, numbers=[WHOLE_JOB]).get(WHOLE_JOB, {}).get(reviewed.step.name)
        return [{"id": _JOB_ID, "value": row["value"]}] if row is not None else []
    drawn = heapq.nsmallest(
        min(MOST_SHOWN, count),
        (one for one in items.outputs(tx, job=job.id, step=reviewed.step.name) if one[1] not in seen),
        # The same items are drawn in every job: a run can be replayed, and a cached review found again.
        key=lambda one: hashlib.sha256(f"{planned.step.name}:{salt}:{one[1]}".encode()).digest(),
    )
    numbers = [n for n, _, _ in drawn]
    loaded = items.load(tx, job=job.id, numbers=numbers)
    answered = subtasks.of_items(tx, job=job.id, numbers=numbers)
    field = job.plan.skills[planned.step.skill or ""].input.get(_OUTPUTS)
    room = int(_FILL * field.max_chars) if field else 0
    shown: list[Json] = []
    for n, item_id, value in sorted(drawn):
        one: Json = {"id": item_id, "input": _asked(job, reviewed, loaded[n], answered.get(n, {})), "value": value}
        room -= len(str(one))
        if room < 0:
            break
        shown.append(one)
    return shown


def _asked(job: Job, reviewed: PlannedStep, item: RowMapping, subs: Mapping[str, RowMapping]) -> JsonObject:
    """Return what the reviewed step was given for an item."""
    skill = job.plan.skills.get(reviewed.step.skill or "")
    values = {name: row["value"] for name, row in subs.items() if row["state"] == "settled"}
    found = inputs_of(reviewed.step, skill, item["input"], values) if skill else item["input"]
    given: JsonObject = item["input"] if isinstance(found, Unfit) else found
    return given


def _correct(note: _Note, corrections: Json, reason: str) -> Next:
    """Put corrected values in the place of those reviewed, as far as they pass the checks that the answers passed."""
    tx, job, reviewed = note.tx, note.job, note.reviewed
    given = (
        {str(one["id"]): one.get("value") for one in corrections or () if isinstance(one, dict) and one.get("id")}
        if isinstance(corrections, list)
        else {}
    )
    numbers = overview.numbers_of(tx, job=job.id, item_ids=list(given))
    if reviewed.step.is_barrier:
        numbers = {_JOB_ID: WHOLE_JOB}
    refused: dict[str, Json] = {}
    done: list[int] = []
    for item_id, value in given.items():
        n = numbers.get(item_id)
        wrong = "no such item" if n is None else _put(tx, job, reviewed, n, value)
        if wrong:
            refused[item_id] = wrong
        elif n is not None:
            done.append(n)
    corrected: list[Json] = [item_id for item_id in sorted(given) if item_id not in refused]
    if refused and _rounds_left(tx, job, note.planned) > 0:
        note.write("ask_again", reason, corrected=corrected, refused=refused)
        told = [f"correction of '{item_id}' refused: {brief(wrong, 200)}" for item_id, wrong in refused.items()]
        return rewind(tx, job=job, first=[note.planned.step.name], numbers=[], feedback=told, upto=note.planned.segment)
    note.write("correct", reason, corrected=corrected, refused=refused)
    built_on = dependents(job.plan, [reviewed.step.name], upto=note.planned.segment)
    again = [name for name in built_on if name not in (reviewed.step.name, note.planned.step.name)]
    if not done or not again:
        return Next(job)
    return rewind(tx, job=job, first=again, numbers=done, upto=note.planned.segment, but=note.planned.step.name)


def _put(tx: Connection, job: Job, reviewed: PlannedStep, n: int, value: Json) -> str | None:
    """Set an item's answer to a corrected value; return why not, if it does not pass the skill's checks."""
    item = items.load(tx, job=job.id, numbers=[n])[n]
    subs = subtasks.of_items(tx, job=job.id, numbers=[n]).get(n, {})
    settled = {name: row["value"] for name, row in subs.items() if row["state"] == "settled"}
    if reviewed.step.name not in settled:
        return "the step was not answered for it"
    skill = job.plan.skills.get(reviewed.step.skill or "")
    if skill is not None:
        given = {**item["input"], **_asked(job, reviewed, item, subs)}
        folders = tuple(Path(folder) for folder in job.folders)
        results = run_checks(skill, value, item=given, tier=job.orchestrator, folders=folders)
        failed = [f"{result.check}: {result.reason}" for result in results if not result.passed]
        if failed:
            return "; ".join(failed)
    rework.correct(tx, job=job.id, item=n, step=reviewed.step.name, value=value)
    values = {**settled, reviewed.step.name: value}
    made = value if n == WHOLE_JOB else output(job.plan, item=item["input"], values=values)
    rework.set_output(tx, job=job.id, item=n, output=made)
    return None


def _restart(note: _Note, said: JsonObject, reason: str) -> Next:
    tx, job, reviewed = note.tx, note.job, note.reviewed
    if _rounds_left(tx, job, note.planned) <= 0:
        why = f"a restart was asked for, but all {note.planned.step.rounds} were used: {reason}"
        note.write("proceed", why, by="engine", asked_by=note.by)
        return Next(job)
    numbers = _to_redo(tx, job, [*_ids(said.get("redo")), *_ids(said.get("wrong"))])
    if not numbers and not reviewed.step.is_barrier:
        note.write("proceed", f"a restart was asked for, but of no item that is open: {reason}", by="engine")
        return Next(job)
    feedback = str(said.get("feedback") or reason)
    note.write("restart", reason, feedback=feedback, items=len(numbers))
    told = [f"a reviewer of many answers found: {feedback}"]
    return rewind(
        tx,
        job=job,
        first=[reviewed.step.name],
        numbers=numbers,
        feedback=told,
        upto=note.planned.segment,
        but=None if _matters_again(note) else note.planned.step.name,
    )


def _matters_again(note: _Note) -> bool:
    """Say whether another review could change anything: while rounds are left, or where the reviewer may correct."""
    if _rounds_left(note.tx, note.job, note.planned) > 0:
        return True
    skill = note.job.plan.skills[note.planned.step.skill or ""]
    properties = skill.output.get("properties")
    decision = properties.get("decision") if isinstance(properties, dict) else None
    choices = decision.get("enum") if isinstance(decision, dict) else None
    return not isinstance(choices, list) or "correct" in choices


def _to_redo(tx: Connection, job: Job, named: Sequence[str]) -> list[int]:
    """Return the items that a reviewer named, to be redone or as wrong; where it named none, all that are open."""
    if named:
        return sorted(set(overview.numbers_of(tx, job=job.id, item_ids=list(dict.fromkeys(named))).values()))
    return overview.pending_numbers(tx, job=job.id)


def named_wrong(said: JsonObject) -> list[str]:
    """Return the ids that a reviewer calls wrong, whatever it decides."""
    corrected = said.get("corrections") if said.get("decision") == "correct" else None
    return list(dict.fromkeys([*_ids(said.get("wrong")), *_ids(said.get("redo")), *_ids(corrected)]))


def _ids(said: Json) -> list[str]:
    """Return the ids in a list of ids, or of findings that each carry one."""
    listed = said if isinstance(said, list) else []
    ids = (one.get("id") if isinstance(one, dict) else one for one in listed)
    return [str(one) for one in ids if one is not None]
