"""What tiers come to is measured as trails are judged, and where it does not pay new subtasks go another way."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.money.cost_model import Finding, Tries
from firstline.orchestrator.money.measured import LOOKED_BACK, recent, weighed
from firstline.orchestrator.store import decisions, jobs, outcomes
from firstline.orchestrator.store.jobs import now
from firstline.schemas.attempt import Attempt
from firstline.schemas.base import JsonObject
from firstline.schemas.batch import ItemTrail
from firstline.schemas.plan import PlannedStep, Route

#: Decisions of this kind hold the routes that are in force.
ROUTE = "route"
#: Verdicts on an answer that say something of the model that gave it.
_TELLING = frozenset({"accept", "retry", "escalate", "refer", "reject", "review"})
#: Only what was asked for in earnest bends a job's way; what was asked to measure is history all the same.
_PURPOSE = "run"


def note_outcomes(tx: Connection, *, job: Job, trails: Iterable[ItemTrail], tier: str) -> None:
    """Write down what trails of a tier came to, skill by skill and model by model."""
    if tier not in job.ladder:
        return
    found: dict[tuple[str, str, bool], _Sum] = defaultdict(_Sum)
    for trail in trails:
        for asked in _subtasks(trail):
            first = asked[0]
            if first.skill_digest and not first.from_cache and all(one.cost_usd is not None for one in asked):
                # What weighed the first answer stands before it, under a later number.
                climbed = min(one.n for one in asked) > 0
                found[first.skill_digest, first.model, climbed].add(asked)
    key: dict[str, Any] = {"job": job.id, "tenant": job.tenant, "purpose": job.options.purpose, "at": now()}
    outcomes.add(
        tx,
        rows=[
            {**key, "skill_digest": digest, "model": model, "climbed": climbed, **total.columns}
            for (digest, model, climbed), total in found.items()
        ],
    )


def _subtasks(trail: ItemTrail) -> Iterator[list[Attempt]]:
    """Yield the attempts of each subtask that a model answered, what weighed an answer among them."""
    by_step: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in trail.attempts:
        by_step[attempt.step].append(attempt)
    for attempts in by_step.values():
        if any(one.purpose == "answer" and one.verdict in _TELLING for one in attempts):
            yield attempts


@dataclass
class _Sum:
    """Subtasks added up."""

    first: Tries = field(default_factory=Tries)
    again: Tries = field(default_factory=Tries)
    tokens: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Add one subtask's attempts on the tier; what weighs an answer comes before it and costs with it."""
        usd, is_first = 0.0, True
        for attempt in attempts:
            usd += attempt.cost_usd or 0.0
            if attempt.purpose != "answer" or attempt.verdict not in _TELLING:
                continue
            tries = Tries(1, int(attempt.verdict == "accept"), usd)
            if is_first:
                self.first += tries
                self.tokens[0] += attempt.usage.input_tokens or 0
                self.tokens[1] += attempt.usage.output_tokens or 0
            else:
                self.again += tries
            usd, is_first = 0.0, False

    @property
    def columns(self) -> JsonObject:
        """The row's figures."""
        return {
            "asked": self.first.asked,
            "accepted": self.first.accepted,
            "usd": self.first.usd,
            "again_asked": self.again.asked,
            "again_accepted": self.again.accepted,
            "again_usd": self.again.usd,
            "input_tokens": self.tokens[0],
            "output_tokens": self.tokens[1],
        }


def reconsider(context: Context, job: Job) -> None:
    """Weigh a job's tiers by what they came to of late, and put what follows on record and in force."""
    steps = [planned for planned in job.plan.segment(job.segment) if is_weighed(job, planned)]
    if not steps or not context.routes.is_due(job.id):
        return
    began = time.monotonic()
    with context.db.reading() as tx:
        found = [(planned, *_weighed(tx, job, planned)) for planned in steps]
    context.routes.weighed(job.id, time.monotonic() - began)
    changed = [(planned, route, findings) for planned, route, findings in found if route != planned.route]
    if not changed:
        return
    with context.db.writing() as tx:
        jobs.hold(tx, job=job.id, alone=True)
        in_force = {one["step"]: one["data"]["route"] for one in decisions.of(tx, job=job.id, kind=ROUTE)}
        for planned, route, findings in changed:
            if in_force.get(planned.step.name, Route().model_dump(mode="json")) != route.model_dump(mode="json"):
                _note(tx, job, planned, route, findings)
    context.routes.forget(job.id)


def is_weighed(job: Job, planned: PlannedStep) -> bool:
    """Whether where a step's subtasks go follows from what is measured: per item, on a ladder, and in earnest."""
    in_earnest = job.options.purpose == _PURPOSE and planned.start_tier in job.ladder[:-1]
    return in_earnest and planned.step.skill is not None and not planned.step.is_barrier


def _weighed(tx: Connection, job: Job, planned: PlannedStep) -> tuple[Route, list[Finding]]:
    digest = job.plan.skills[planned.step.skill or ""].digest
    return weighed(tx, planned, tenant=job.tenant, digest=digest, tiers=[job.tier(name) for name in job.ladder])


def tried(tx: Connection, job: Job, planned: PlannedStep, tier: str) -> int:
    """Return how many subtasks a tier has answered with a step's skill, without end where more than counts."""
    digest = job.plan.skills[planned.step.skill or ""].digest
    asked = sum(row["asked"] for row in recent(tx, tenant=job.tenant, digest=digest, tier=job.tier(tier)))
    return asked if asked < LOOKED_BACK else 10**9


def _note(tx: Connection, job: Job, planned: PlannedStep, route: Route, findings: Sequence[Finding]) -> None:
    before = planned.route
    turned = [one for one in findings if _is_off(before, one) == one.pays]
    decisions.note(
        tx,
        job=job.id,
        kind=ROUTE,
        by="engine",
        step=planned.step.name,
        choice="; ".join(_choice(one) for one in turned) or "as before",
        reason="; ".join(one.figures for one in turned),
        data={"route": route.model_dump(mode="json"), "findings": [vars(one) for one in findings]},
    )


def _is_off(route: Route, finding: Finding) -> bool:
    off = {"start": route.not_started, "pass": route.skipped, "again": route.once}[finding.kind]
    return finding.tier in off


def _choice(finding: Finding) -> str:
    match finding.kind, finding.pays:
        case "start", True:
            return f"start on {finding.tier} again"
        case "start", False:
            return f"start above {finding.tier}"
        case "pass", True:
            return f"climb to {finding.tier} again"
        case "pass", False:
            return f"climb past {finding.tier}"
        case _, True:
            return f"try twice on {finding.tier} again"
        case _:
            return f"one try on {finding.tier}"
