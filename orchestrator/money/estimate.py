"""The one estimate of a job, for `estimate`, `plan`, `run` and the pages: prompts are counted, the rest is history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from sqlalchemy import Connection

from firstline.config.catalogue.references import ITEMS, target
from firstline.config.drafts.draft import RESERVED
from firstline.orchestrator.money.history import Subject, rungs_of
from firstline.orchestrator.money.measured import IN_EARNEST, weighed
from firstline.orchestrator.plans.compile import ladder_of
from firstline.orchestrator.plans.patterns.tree import most_chars
from firstline.orchestrator.submission.earlier_answers import content_of
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.job_plan import job_plan
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Json, JsonObject
from firstline.schemas.estimate import Estimate, StepEstimate
from firstline.schemas.job import Options, Priority, Rerun
from firstline.schemas.plan import EVERY, Plan, PlannedStep, StepKind
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier
from firstline.workers.estimates.answer_guess import stand_in
from firstline.workers.estimates.call_estimate import prompt_tokens, text_tokens
from firstline.workers.estimates.expectation import HELD, Expected, Spread, StepLoad, expected, mean_of
from firstline.workers.estimates.forecast import fixed_tokens, synthesis_calls
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.data_fence import as_text
from firstline.workers.rules.json_paths import MISSING
from firstline.workers.rules.lanes import left_s
from firstline.workers.rules.step_inputs import Unfit, inputs_of, resolve

#: Items whose prompts are made.
SAMPLE = 200
#: Items among which equal ones are found.
_REMEMBERED = 200_000
#: By what factor a list that is made on the way may be longer or shorter than its example.
_UNKNOWN_LIST = 0.3
#: Elements of a list of which nothing is known.
_GUESSED_LIST = 4.0
#: An estimate above the top tier alone by so much says so.
_ABOVE = 1.05


@dataclass(frozen=True)
class Sample:
    """How many items there are to answer, and some of them."""

    count: int
    drawn: Sequence[JsonObject]


def estimate(tx: Connection, order: Order, *, sample: int = SAMPLE) -> Estimate:
    """Return what an order is expected to cost; nothing is called."""
    if order.request.workflow is None or isinstance(order.request.workflow, str):
        note = "a goal's plan is written when the job begins; its steps and their cost are not known before"
        return Estimate(items=0, sampled=0, cost_usd=None, notes=(note,))
    asked = job_plan(tx, order.request.evolve(profile=order.profile), functions=order.functions)
    options, earlier, items = asked.request.options, asked.earlier, order.items()
    if earlier is not None and options.rerun is Rerun.CHANGED:
        items = earlier.fresh(tx, items)
    drawn = draw(items, sample, dedupe=options.dedupe and earlier is not None)
    return of_plan(tx, asked.plan, profile=order.profile, options=options, sample=drawn)


def draw(items: Iterable[InputItem], sample: int, *, dedupe: bool = False) -> Sample:
    """Return how many items there are, and a random sample of them (reservoir sampling, the same every time)."""
    random, count = Random(0), 0
    seen: set[str] = set()
    drawn: list[JsonObject] = []
    for item in items:
        if item.error is not None:
            continue
        if dedupe and len(seen) < _REMEMBERED:
            key = content_of(item.input)
            if key in seen:
                continue
            seen.add(key)
        count += 1
        if len(drawn) < sample:
            drawn.append(item.input)
        elif (place := random.randrange(count)) < sample:
            drawn[place] = item.input
    return Sample(count, drawn)


def of_plan(tx: Connection, plan: Plan, *, profile: Profile, options: Options, sample: Sample) -> Estimate:
    """Return what a plan is expected to cost for so many items, without steps that the engine adds."""
    ladder = ladder_of(profile, options.tiers)
    tiers = [tier for tier in profile.rungs if tier.name in ladder]
    loads: dict[str, StepLoad] = {}
    known: dict[str, int] = {}
    for planned in plan.steps:
        step = planned.step
        if step.kind is not StepKind.TOOL and step.skill is not None and RESERVED not in step.name:
            builder = _Builder(tx, plan, profile, options, sample, tiers, loads)
            loads[step.name], known[step.name] = builder.load(planned, plan.skills[step.skill])
    found = expected(list(loads.values()))
    steps = tuple(_line(load, known[name], found) for name, load in loads.items())
    above = found is not None and found.usd > _ABOVE * found.top_usd and any(map(_may_differ, loads.values()))
    notes = ["prompts are counted at four characters a token; what a response cache may save is not in it"]
    if found is None:
        notes.append("a tier's model has no price; give it one in the profile (`price:`)")
    return Estimate(
        items=sample.count,
        sampled=len(sample.drawn),
        cost_usd=found.usd if found else None,
        low_usd=(0.0 if options.cache else found.low_usd) if found else None,
        high_usd=found.high_usd if found else None,
        frontier_usd=found.top_usd if found else None,
        above_top=above,
        steps=steps,
        notes=tuple(notes),
    )


def _may_differ(load: StepLoad) -> bool:
    """Whether the top tier alone would do without something of a step: lower tiers, audits, or all of it."""
    return len(load.rungs) > 1 or load.steers


def _line(load: StepLoad, asked: int, found: Expected | None) -> StepEstimate:
    figures = found.steps[load.step] if found else None
    count = load.count * load.elements.value * (load.held.mean if load.held else 1.0)
    return StepEstimate(
        step=load.step,
        tier=load.rungs[0].tier,
        calls=figures.calls if figures else count,
        input_tokens=figures.input_tokens if figures else load.prompt.value + sum(load.carried.values()),
        output_tokens=figures.output_tokens if figures else load.rungs[0].answer.value,
        climbing=figures.climbing if figures else 0.0,
        cost_usd=figures.usd if figures else None,
        known_from=f"{asked} earlier answers of this skill" if asked else "a guess: this skill has no history",
    )


@dataclass(frozen=True)
class _Builder:
    """Makes a step's load from the plan, the sample and the loads of the steps before it."""

    tx: Connection
    plan: Plan
    profile: Profile
    options: Options
    sample: Sample
    tiers: Sequence[Tier]
    loads: Mapping[str, StepLoad]

    def load(self, planned: PlannedStep, skill: Skill) -> tuple[StepLoad, int]:
        """Return a step's load, and how many earlier answers it is known from."""
        step = planned.step
        count, prompt, carried = self._whole(planned, skill) if step.is_barrier else self._each(planned, skill)
        planned, moves = self._routed(planned, skill)
        tokens = prompt.value + sum(carried.values())
        way = planned.ladder_of(EVERY, self.ladder)
        start = planned.start_of(EVERY, self.ladder)
        names = way[way.index(start) :] if start in way else way
        urgent = self.options.priority is Priority.HIGH
        left = left_s(self.options.deadline, datetime.now(UTC), urgent=urgent)
        subject = Subject(planned, skill, self.profile, self.options.tenant, tokens, left)
        rungs, asked = rungs_of(self.tx, subject, [tier for tier in self.tiers if tier.name in names])
        earnest = self.options.purpose in IN_EARNEST
        return StepLoad(
            step=step.name,
            count=count,
            prompt=prompt,
            carried=carried,
            rungs=rungs,
            elements=self._elements(planned),
            held=HELD if step.when and not step.is_barrier else None,
            moves=moves,
            audited=planned.policy.audit_share if earnest else 0.0,
            steers=step.kind.steers,
            reviews=step.reviews,
            rounds=step.rounds if step.kind is StepKind.CHECKPOINT else 0,
        ), asked

    @property
    def ladder(self) -> tuple[str, ...]:
        return tuple(tier.name for tier in self.tiers)

    def _routed(self, planned: PlannedStep, skill: Skill) -> tuple[PlannedStep, bool]:
        """Return the step with the route that a job takes from its first item on, and whether it may change it."""
        earnest = self.options.purpose in IN_EARNEST and planned.start_tier in self.ladder[:-1]
        if not earnest or planned.step.is_barrier:
            return planned, False
        route, _ = weighed(self.tx, planned, tenant=self.options.tenant, digest=skill.digest, tiers=self.tiers)
        return planned.evolve(route=route), planned.policy.start is None

    def _each(self, planned: PlannedStep, skill: Skill) -> tuple[float, Spread, dict[str, float]]:
        """Return the subtasks of a step of each item, the tokens of their prompts, and what these take over."""
        answers = self._stand_ins()
        planned = planned if planned.step.for_each is None else planned.element(0)
        inputs = [self._inputs(planned, skill, item, answers) for item in self.sample.drawn]
        prompts = mean_of([_tokens(skill, shown) for shown in inputs])
        carried: dict[str, float] = {}
        for reference in planned.step.inputs.values():
            pointed = target(reference)
            if pointed is not None and pointed.name in answers:
                value = resolve(reference, {}, answers)
                held = text_tokens("" if value is MISSING else as_text(value))
                carried[pointed.name] = carried.get(pointed.name, 0.0) + held
        own = max(1.0, prompts.value - sum(carried.values()))
        if skill.pack > 1 and not any(planned.thresholds.values()) and not skill.tools:
            own -= fixed_tokens(skill) * (1 - 1 / min(skill.pack, max(1, self.sample.count)))
        lengths = {name: self._longer(name) for name in carried}
        return (
            float(self.sample.count),
            Spread(max(1.0, own), prompts.off),
            {name: tokens * lengths[name] for name, tokens in carried.items()},
        )

    def _inputs(self, planned: PlannedStep, skill: Skill, item: JsonObject, answers: Mapping[str, Json]) -> JsonObject:
        inputs = inputs_of(planned.step, skill, item, answers)
        return item if isinstance(inputs, Unfit) else inputs

    def _stand_ins(self) -> dict[str, Json]:
        """Return what earlier steps' answers may be, those of tools among them as nothing."""
        found: dict[str, Json] = {}
        for planned in self.plan.steps:
            if planned.step.skill in self.plan.skills and planned.step.name in self.loads:
                answer = stand_in(self.plan.skills[planned.step.skill])
                many = self.loads[planned.step.name].elements
                found[planned.step.name] = answer if planned.step.for_each is None else [answer] * round(many.value)
        return found

    def _elements(self, planned: PlannedStep) -> Spread:
        """Return how many elements the list of a step has: those of the sample's items, or of an answer's example."""
        if planned.step.for_each is None:
            return Spread(1.0)
        answers = self._stand_ins()
        lists = [resolve(planned.step.for_each, item, answers) for item in self.sample.drawn]
        lengths = [float(len(one)) for one in lists if isinstance(one, list)]
        if not lengths:
            return Spread(min(_GUESSED_LIST, float(planned.step.at_most)), 2 * _UNKNOWN_LIST)
        found = mean_of(lengths)
        made = target(planned.step.for_each)
        return Spread(found.value, _UNKNOWN_LIST) if made is not None and made.name in answers else found

    def _longer(self, name: str) -> float:
        """Return how much longer a step's answers are than what stands in for them."""
        made, load = text_tokens(as_text(self._stand_ins()[name])), self.loads[name]
        return load.elements.value * load.rungs[0].answer.value / made if made else 1.0

    def _whole(self, planned: PlannedStep, skill: Skill) -> tuple[float, Spread, dict[str, float]]:
        """Return the calls of a step of the whole job, and the tokens of a prompt that shows all items' answers."""
        step, fixed = planned.step, fixed_tokens(skill)
        if step.kind in (StepKind.PLAN, StepKind.ADAPT):
            return 1.0, Spread(2 * fixed, 0.4), {}
        read = {pointed.name for reference in step.inputs.values() if (pointed := target(reference))}
        wanted = set(step.after) if ITEMS in read or not read else read
        if step.kind is StepKind.CHECKPOINT:
            wanted = {step.reviews} if step.reviews else set(step.after)
            fixed += (
                step.sample * self.sample.count * mean_of([text_tokens(as_text(i)) for i in self.sample.drawn]).value
            )
        shown = step.sample if step.kind is StepKind.CHECKPOINT else 1.0
        carried = {name: shown * load.count * load.elements.value * load.rungs[0].answer.value
                   for name, load in self.loads.items() if name in wanted}  # fmt: skip
        calls = 1
        if step.kind is StepKind.SYNTHESIZE:
            calls = synthesis_calls(sum(carried.values()), most_chars(step, skill, wanted))
        return float(calls), Spread(fixed, 0.2), {name: tokens / calls for name, tokens in carried.items()}


def _tokens(skill: Skill, shown: JsonObject) -> float:
    schema = None if skill.is_text else skill.output
    return float(prompt_tokens(Call(Model(name="any"), messages(skill, shown), schema)))
