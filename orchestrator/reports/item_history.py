"""One item's story: what was asked, every attempt, its checks and its price, and why it climbed."""

import json
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.job import Job
from firstline.orchestrator.store import decisions, items, views
from firstline.schemas.base import Frozen, Json, JsonObject
from firstline.schemas.check import CheckResult
from firstline.schemas.errors import UserError
from firstline.schemas.job import ItemState
from firstline.schemas.plan import step_of
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Lane
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.gateway import Message
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.scoring import gold_of, score
from firstline.workers.rules.step_inputs import Unfit, inputs_of

Line = TypeVar("Line", bound=Frozen)


class ItemLine(Frozen):
    """One item as it is listed."""

    n: int
    item_id: str
    status: ItemState
    tier: str | None = None
    attempts: int
    #: None: nobody knows what its calls cost.
    cost_usd: float | None
    #: Seconds from its first call to its end, without its job's breaks.
    latency_s: float | None = None
    #: The least among its accepted answers; None: no signal spoke.
    confidence: float | None = None
    reason: str | None = None
    #: Number of the item whose result it takes over.
    same_as: int | None = None
    #: The earlier job that its answer was taken over from.
    taken_from: str | None = None


class AttemptLine(Frozen):
    """One model call as it is shown."""

    step: str
    n: int
    purpose: str
    tier: str
    model: str
    started_at: datetime
    latency_s: float
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    price_source: str | None = None
    #: The lane that it was answered on, or that turned it away.
    service_tier: Lane | None = None
    text: str | None = None
    value: Json = None
    error: str | None = None
    detail: str | None = None
    checks: tuple[CheckResult, ...] = ()
    signal: str | None = None
    confidence: float | None = None
    verdict: str = ""
    reason: str = ""
    effort: str | None = None
    from_cache: bool = False
    worker: str = ""


class SubtaskLine(Frozen):
    """One step of the item as it stands."""

    step: str
    state: str
    tier: str
    value: Json = None
    reason: str | None = None


class DecisionLine(Frozen):
    """A decision about the item that was no verdict on one answer."""

    at: datetime
    kind: str
    by: str
    choice: str
    reason: str = ""
    step: str | None = None


class Story(Frozen):
    """Everything about one item."""

    item: ItemLine
    input: JsonObject
    output: Json = None
    subtasks: tuple[SubtaskLine, ...]
    attempts: tuple[AttemptLine, ...]
    decisions: tuple[DecisionLine, ...] = ()


class Held(Frozen):
    """An item's result held against the truth that its input carries."""

    right: Json
    #: How well it meets that, 0..1.
    score: float

    @property
    def in_words(self) -> str:
        """What came of it, for people."""
        said = {0.0: "wrong", 1.0: "right"}.get(self.score, f"{self.score:.2f} of 1 right")
        return f"{said}: the truth is {self.right if isinstance(self.right, str) else json.dumps(self.right)}"


def item_line(row: RowMapping) -> ItemLine:
    """Return an item's row as it is listed."""
    return ItemLine(
        n=row["n"],
        item_id=row["item_id"],
        status=ItemState(row["state"]),
        tier=row["tier"],
        attempts=row["attempts"],
        cost_usd=None if row["unpriced"] and not row["cost_usd"] else row["cost_usd"],
        latency_s=items.latency_s(row),
        confidence=row["confidence"],
        reason=row["reason"],
        same_as=row["same_as"],
        taken_from=row["taken_from"],
    )


def story_of(tx: Connection, *, job: str, n: int) -> Story:
    """Return one item's story; UserError when the job has no item of that number."""
    row = views.item(tx, job=job, n=n)
    if row is None:
        raise UserError(f"job {job} has no item number {n}")
    return Story(
        item=item_line(row),
        input=row["input"],
        output=row["output"],
        subtasks=tuple(_line(SubtaskLine, one) for one in views.item_subtasks(tx, job=job, n=n)),
        attempts=tuple(_line(AttemptLine, one) for one in items.attempts(tx, job=job, item=n)),
        decisions=tuple(_line(DecisionLine, one) for one in decisions.of(tx, job=job) if one["item"] == n),
    )


def _line(model: type[Line], row: RowMapping) -> Line:
    return model.model_validate({name: row[name] for name in model.model_fields})


def prompts_of(job: Job, story: Story) -> dict[str, tuple[Message, ...]]:
    """Return step -> the messages of its first call, put together as the workers do it.

    Steps without a skill, and those whose inputs are not there yet, are left out; so are steps of the whole job.
    """
    asked = {step: asked_of(job, story, step) for step in dict.fromkeys(one.step for one in story.attempts)}
    return {step: messages(*found) for step, found in asked.items() if found is not None}


def asked_of(job: Job, story: Story, step: str) -> tuple[Skill, JsonObject] | None:
    """Return the skill that a subtask of the item asks, and what it shows of the item; None: as for `prompts_of`."""
    if step_of(step) not in {planned.step.name for planned in job.plan.steps}:
        return None
    planned = job.plan.step(step)
    skill = job.plan.skills.get(planned.step.skill or "")
    if skill is None or planned.step.is_barrier:
        return None
    settled = {subtask.step: subtask.value for subtask in story.subtasks if subtask.state == "settled"}
    inputs = inputs_of(planned.step, skill, story.input, settled)
    return None if isinstance(inputs, Unfit) else (skill, inputs)


def held_against_truth(job: Job, story: Story) -> Held | None:
    """Return how an item's result compares with its truth; None where it has not ended, or carries none."""
    quality = job.plan.quality
    if quality is None or not story.item.status.ended:
        return None
    output = story.output if story.item.status is ItemState.SETTLED else MISSING
    found = score(quality, output, story.input, folders=tuple(Path(folder) for folder in job.folders))
    return None if found is None else Held(right=gold_of(quality, story.input), score=found)
