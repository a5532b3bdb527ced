"""Synthesis as a tree: parts that outgrow a prompt are synthesized in groups side by side, then the groups' results."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from firstline.config.catalogue.references import ITEMS, target
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.plans.patterns.base import View, all_items, per_item_steps
from firstline.orchestrator.plans.patterns.growth import change_step, insert
from firstline.orchestrator.store import decisions, jobs, subtasks
from firstline.schemas.base import Json
from firstline.schemas.batch import WHOLE_JOB
from firstline.schemas.plan import PlannedStep, Step
from firstline.schemas.skill import Skill
from firstline.workers.rules.data_fence import as_text

#: Part of the skill's limit that a group may fill.
_FILL = 0.9
#: More groups than these would make a plan that nobody can read; the parts should be shortened first.
MOST_GROUPS = 2_000
#: Options of the steps that the engine makes: which parts a group has, which groups a step brings together.
_PARTS, _GROUPS = "parts", "groups"


def cut(sizes: Sequence[int], *, most: int) -> list[tuple[int, int]]:
    """Return ranges (from, to) of neighbouring parts whose sizes sum to at most `most`.

    A range has two parts at least (but for the last one), so that every level of the tree is at most half as wide.
    """
    ranges: list[tuple[int, int]] = []
    start, held = 0, 0
    for place, size in enumerate(sizes):
        if held + size > most and place - start >= 2:
            ranges.append((start, place))
            start, held = place, 0
        held += size
    return [*ranges, (start, len(sizes))] if sizes else []


def prepare(tx: Connection, *, job: Job, segment: int) -> Job:
    """Return the job with a level of groups before a synthesis whose parts outgrow it."""
    planned = job.plan.segment(segment)[0]
    skill = job.plan.skills[planned.step.skill or ""]
    lists = _lists(tx, job, planned)
    if not lists:
        return job
    parts = _by_part(lists)
    ranges = cut(
        [sum(len(as_text(part)) for part in row) for row in parts], most=most_chars(planned.step, skill, lists)
    )
    if len(ranges) < 2 or len(ranges) > MOST_GROUPS:
        return job
    level = _level(planned.step) + 1
    groups = [_group(planned, level, number, bounds) for number, bounds in enumerate(ranges)]
    names: list[Json] = [group.step.name for group in groups]
    root = planned.step.evolve(
        options={**planned.step.options, _GROUPS: names, "level": level},
        after=(*planned.step.after, *(group.step.name for group in groups)),
    )
    grown = change_step(insert(job.plan, groups, at=segment), root)
    jobs.set_plan(tx, job=job.id, plan=grown.model_dump(mode="json"))
    decisions.note(
        tx,
        job=job.id,
        kind="tree",
        by="engine",
        choice="grouped",
        reason=f"{len(parts):,} parts do not fit one prompt; they are synthesized in {len(groups)} groups first",
        step=planned.step.name,
        data={"level": level, "groups": len(groups)},
    )
    return replace(job, plan=grown)


def view(tx: Connection, *, job: Job, planned: PlannedStep) -> View:
    """Return the parts that a synthesis, or a group of one, is shown."""
    lists = _lists(tx, job, planned)
    bounds = planned.step.options.get(_PARTS)
    if isinstance(bounds, list) and len(bounds) == 2:
        rows = _by_part(lists)[int(str(bounds[0])) : int(str(bounds[1]))]
        lists = {name: [row[place] for row in rows if row[place] is not None] for place, name in enumerate(lists)}
    return View(settled=dict(lists))


def _group(planned: PlannedStep, level: int, number: int, bounds: tuple[int, int]) -> PlannedStep:
    options: dict[str, Json] = {**planned.step.options, _PARTS: list(bounds)}
    step = planned.step.evolve(name=f"{planned.step.name}__{level}_{number}", options=options)
    return planned.evolve(step=step, segment=0)


def _level(step: Step) -> int:
    level = step.options.get("level")
    return level if isinstance(level, int) else 0


def _lists(tx: Connection, job: Job, planned: PlannedStep) -> dict[str, list[Json]]:
    """Return name -> parts {id, value}: of per-item steps, or, from the second level on, of the groups below."""
    groups = planned.step.options.get(_GROUPS)
    if not isinstance(groups, list):
        found = all_items(tx, job=job, planned=planned)
        return {name: value for name, value in found.items() if isinstance(value, list)}
    subs = subtasks.of_items(tx, job=job.id, numbers=[WHOLE_JOB]).get(WHOLE_JOB, {})
    answered: list[Json] = [
        {"id": f"group {number}", "value": subs[str(name)]["value"]}
        for number, name in enumerate(groups, 1)
        if str(name) in subs and subs[str(name)]["state"] == "settled"
    ]
    # The groups' results stand where the first list stood; they tell of the other lists too.
    first, *others = _list_names(job, planned)
    return {first: answered, **{name: [] for name in others}}


def _list_names(job: Job, planned: PlannedStep) -> list[str]:
    names = {*per_item_steps(job, planned), ITEMS}
    read = [found.name for reference in planned.step.inputs.values() if (found := target(reference))]
    return list(dict.fromkeys(name for name in read if name in names)) or sorted(names)


def _by_part(lists: Mapping[str, Sequence[Json]]) -> list[list[Json]]:
    """Return for each id its parts of all lists, in the order of the lists; None where one has none of it."""
    ids: dict[Json, dict[str, Json]] = {}
    for name, parts in lists.items():
        for part in parts:
            if isinstance(part, dict):
                ids.setdefault(str(part["id"]), {})[name] = part
    return [[row.get(name) for name in lists] for row in ids.values()]


def most_chars(step: Step, skill: Skill, lists: Collection[str]) -> int:
    """Return the characters of parts that one prompt takes: the step's own figure, or the tightest field's."""
    own = step.options.get("tree_chars")
    if isinstance(own, int):
        return own
    fields = [
        skill.input[field].max_chars
        for field, reference in step.inputs.items()
        if field in skill.input and (found := target(reference)) and found.name in lists
    ]
    return int(_FILL * min(fields, default=200_000))
