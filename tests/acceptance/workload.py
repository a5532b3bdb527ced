"""A job whose every call can be told from every other one, and a checker of what became of it.

The checker reads the database and the simulated provider's own log of paid calls, nothing else.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.tables import AttemptRow, BatchRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile

#: Share of the calls of the cheap model that come back cut off, so that a tenth of three-step items climb.
CUT_OFF = 0.0345
#: Seconds around a kill in which a call counts as in flight: its answer may be out and not yet kept.
SLACK_S = 0.3

Paid = Sequence[dict[str, Any]]


def script(latency_s: float = 0.2) -> str:
    """What the simulated provider plays."""
    return f"""
seed: 7
models:
  cheap:
    latency: {{kind: constant, seconds: {latency_s}}}
    answer: {{kind: from_schema}}
    faults: [{{kind: truncation, probability: {CUT_OFF}}}]
  frontier:
    latency: {{kind: constant, seconds: {latency_s}}}
    answer: {{kind: from_schema}}
"""


def request(profile: Profile, *, steps: int = 3, name: str = "chaos", **options: Any) -> JobRequest:
    """A job of so many steps, one after the other; no two prompts of it are alike."""
    skills = tuple(_skill(n) for n in range(steps))
    planned = tuple(
        Step(name=f"s{n}", skill=skill.name, after=(f"s{n - 1}",) if n else ()) for n, skill in enumerate(skills)
    )
    workflow = Workflow(name=name, steps=planned, skills=skills)
    return JobRequest(workflow=workflow, profile=profile, options=Options(dedupe=False, **options))


def _skill(n: int) -> Skill:
    return Skill.model_validate(
        {
            "name": f"step{n}",
            "instructions": f"Say which label fits, aspect {n}.",
            "input": {"text": {}},
            "output": {
                "type": "object",
                "properties": {"label": {"enum": ["a", "b", "c"]}},
                "required": ["label"],
                "additionalProperties": False,
            },
            "policy": {"attempts_per_tier": 1},
        }
    )


def items(count: int, *, of: str) -> Iterator[dict[str, str]]:
    """Items that no other job (`of`) has."""
    return ({"id": str(n), "text": f"{of} {n}"} for n in range(count))


@dataclass(frozen=True)
class Findings:
    """What became of a job."""

    state: str
    items: int
    #: Items that have not settled.
    lost: int
    #: Subtasks with more than one accepted answer, or that an item that settled lacks.
    settled_twice: int
    unsettled_steps: int
    #: Calls in the provider's log, and those of them that were made before.
    paid: int
    paid_twice: int
    #: Calls in the provider's log that no attempt stands for.
    unrecorded: int
    #: Dollars between the items' account, the attempts' and what the tokens cost.
    off_usd: float
    #: Times at which batches were judged, in seconds since the epoch.
    judged_at: tuple[float, ...]


def check(database_url: str, job: str, paid: Paid, *, steps: int, profile: Profile) -> Findings:
    """Return what the database and the provider's log (of this job alone) say."""
    attempt, subtask, item, batch, row = (
        table.__table__.c  # type: ignore[attr-defined]
        for table in (AttemptRow, SubtaskRow, ItemRow, BatchRow, JobRow)
    )
    prices = {model.name: model.price for tier in profile.tiers for model in tier.models}
    db = Database(database_url)
    with db.reading() as tx:
        state = tx.scalar(select(row.state).where(row.id == job))
        of_items = tx.execute(select(item.state, func.count()).where(item.job == job).group_by(item.state)).all()
        calls = tx.execute(
            select(
                attempt["item"],
                attempt.step,
                attempt.verdict,
                attempt.model,
                attempt.cost_usd,
                attempt.input_tokens,
                attempt.output_tokens,
            ).where(attempt.job == job)
        ).all()
        settled = tx.scalar(select(func.count()).where(subtask.job == job, subtask.state == "settled")) or 0
        in_items = tx.scalar(select(func.sum(item.cost_usd)).where(item.job == job)) or 0.0
        judged = tx.scalars(select(batch.changed_at).where(batch.job == job, batch.state == "judged")).all()
    db.close()
    counts = {name: int(count) for name, count in of_items}
    accepted = Counter((call[0], call[1]) for call in calls if call[2] == "accept")
    in_attempts = sum(call[4] or 0.0 for call in calls)
    by_tokens = sum(_cost(prices[call[3]], call[5] or 0, call[6] or 0) for call in calls)
    keys = Counter((call["model"], call["key"]) for call in paid)
    return Findings(
        state=str(state),
        items=sum(counts.values()),
        lost=sum(counts.values()) - counts.get("settled", 0),
        settled_twice=sum(count - 1 for count in accepted.values()),
        unsettled_steps=counts.get("settled", 0) * steps - int(settled),
        paid=len(paid),
        paid_twice=sum(count - 1 for count in keys.values()),
        unrecorded=len(paid) - sum(call[2] != "cancelled" for call in calls),
        off_usd=abs(in_items - in_attempts) + abs(in_attempts - by_tokens),
        judged_at=tuple(sorted(at.timestamp() for at in judged)),
    )


def _cost(price: Any, inputs: int, outputs: int) -> float:
    return float((price.input * inputs + price.output * outputs) / 1e6)


def in_flight(
    paid: Paid,
    at: float,
    *,
    model: str | None = None,
    latency_s: float = 0.2,
    before_s: float = 0.0,
    slack_s: float = SLACK_S,
) -> int:
    """Return the calls that were on their way at a moment, or answered up to `before_s` seconds earlier."""
    return sum(
        float(call["at"]) - latency_s - slack_s <= at <= float(call["at"]) + slack_s + before_s
        for call in paid
        if model is None or call["model"] == model
    )
