"""An estimate of an order before it is run: prompts of a sample are counted, the rest is history or a guess."""

from collections.abc import Iterable, Mapping
from random import Random

from sqlalchemy import Connection

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.providers.prices import price_of
from firstline.orchestrator.money import expectation
from firstline.orchestrator.money.expectation import Figure, Known
from firstline.orchestrator.plans.compile import compile_plan, ladder_of
from firstline.orchestrator.plans.thresholds import known_certificates
from firstline.orchestrator.plans.tier_choice import with_tiers
from firstline.orchestrator.store import history
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.run_request import Order
from firstline.schemas.base import Json
from firstline.schemas.estimate import Estimate, StepEstimate
from firstline.schemas.plan import Plan, PlannedStep, StepKind
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Price, Profile
from firstline.workers.estimates.call_estimate import CHARS_PER_TOKEN, prompt_tokens
from firstline.workers.estimates.forecast import HOLDING
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.step_inputs import Unfit, inputs_of

#: Items whose prompts are made.
SAMPLE = 200


def estimate(tx: Connection, order: Order, *, sample: int = SAMPLE) -> Estimate:
    """Return what an order is expected to cost; nothing is called."""
    if order.request.workflow is None or isinstance(order.request.workflow, str):
        note = "a goal's plan is written when the job begins; its steps and their cost are not known before"
        return Estimate(items=0, sampled=0, cost_usd=None, notes=(note,))
    count, drawn = draw(order.items(), sample)
    tiers = with_tiers(order.request.options, order.profile).tiers
    plan = compile_plan(
        order.request.workflow,
        catalogue=load_catalogue(),
        profile=order.profile,
        tiers=tiers,
        certificates=known_certificates(tx, profile=order.profile, tenant=order.request.options.tenant),
    )
    ladder = ladder_of(order.profile, tiers)
    known: dict[str, Known] = {}
    steps = []
    for planned in plan.steps:
        if planned.step.kind is StepKind.TOOL or planned.step.skill is None:
            continue
        skill = plan.skills[planned.step.skill]
        asked, settled, calls, length = _past(tx, skill, planned.start_tier)
        known[planned.step.name] = part = Known(
            items=_calls(planned, count),
            input_tokens=_prompt(planned, skill, plan, drawn, known, count),
            output_tokens=expectation.length_of(length, asked),
            climbing=expectation.climbing_of(asked, settled),
            calls_each=calls / asked if asked >= expectation.ENOUGH else 1.0,
            prices=_prices(order.profile, ladder[ladder.index(planned.start_tier) :]),
        )
        steps.append(_line(planned, part, asked))
    return _summed(count, len(drawn), list(known.values()), tuple(steps))


def draw(items: Iterable[InputItem], sample: int) -> tuple[int, list[InputItem]]:
    """Return how many items there are, and a random sample of them (reservoir sampling, the same every time)."""
    random, count = Random(0), 0
    drawn: list[InputItem] = []
    for item in items:
        if item.error is not None:
            continue
        count += 1
        if len(drawn) < sample:
            drawn.append(item)
        elif (place := random.randrange(count)) < sample:
            drawn[place] = item
    return count, drawn


def _past(tx: Connection, skill: Skill, tier: str) -> tuple[int, int, int, float | None]:
    """Return subtasks asked and settled on a tier, calls made there, and the mean tokens of an answer."""
    for row in history.of_skill(tx, skill=skill.name):
        if row["tier"] == tier:
            length = row["output_tokens"]
            return (
                int(row["subtasks"]),
                int(row["settled"] or 0),
                int(row["calls"]),
                None if length is None else float(length),
            )
    return 0, 0, 0, None


def _calls(planned: PlannedStep, count: int) -> Figure:
    if planned.step.is_barrier:
        return Figure(1.0, 1.0, 1.0)
    if planned.step.when:
        return Figure(count * HOLDING, 0.0, float(count))
    return Figure(float(count), float(count), float(count))


def _prompt(
    planned: PlannedStep,
    skill: Skill,
    plan: Plan,
    drawn: list[InputItem],
    known: Mapping[str, Known],
    count: int,
) -> Figure:
    """Return the tokens of a prompt: those of the sample's items, or of a step that sees all items at once."""
    if planned.step.is_barrier:
        seen = sum(part.output_tokens.value for part in known.values()) * count
        return Figure(seen + _fixed(skill), seen * 0.5, seen * 1.5 + 2 * _fixed(skill))
    answers: dict[str, Json] = {
        name: "x" * round(part.output_tokens.value * CHARS_PER_TOKEN) for name, part in known.items()
    }
    return expectation.mean_of([_tokens(planned, skill, item, answers) for item in drawn])


def _tokens(planned: PlannedStep, skill: Skill, item: InputItem, answers: Mapping[str, Json]) -> float:
    inputs = inputs_of(planned.step, skill, item.input, answers)
    shown = item.input if isinstance(inputs, Unfit) else inputs
    schema = None if skill.is_text else skill.output
    return float(prompt_tokens(Call(Model(name="any"), messages(skill, shown), schema)))


def _fixed(skill: Skill) -> float:
    return float(prompt_tokens(Call(Model(name="any"), messages(skill, {}))))


def _prices(profile: Profile, tiers: tuple[str, ...]) -> tuple[Price | None, ...]:
    models = [tier.models[0] for tier in profile.tiers if tier.name in tiers]
    return tuple(price_of(model) for model in models)


def _line(planned: PlannedStep, part: Known, asked: int) -> StepEstimate:
    known = asked >= expectation.ENOUGH
    return StepEstimate(
        step=planned.step.name,
        tier=planned.start_tier,
        calls=part.calls,
        input_tokens=part.input_tokens.value,
        output_tokens=part.output_tokens.value,
        climbing=part.climbing.value if len(part.prices) > 1 else 0.0,
        cost_usd=expectation.cost(part),
        known_from=f"{asked} earlier answers of this skill" if known else "a guess: this skill has no history",
    )


def _summed(count: int, sampled: int, parts: list[Known], steps: tuple[StepEstimate, ...]) -> Estimate:
    totals = expectation.total(parts)
    top = expectation.total([expectation.on_top(part) for part in parts])
    notes = ["prompts are counted at four characters a token; tools, packing and the response cache are not in it"]
    if totals is None:
        notes.append("a tier's model has no price; give it one in the profile (`price:`)")
    middle, low, high = totals or (None, None, None)
    return Estimate(
        items=count,
        sampled=sampled,
        cost_usd=middle,
        low_usd=low,
        high_usd=high,
        frontier_usd=top[0] if top else None,
        steps=steps,
        notes=tuple(notes),
    )
