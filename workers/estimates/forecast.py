"""What a plan will cost where neither its items nor earlier jobs are at hand: a planner's own check of its budget."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstline.config.drafts.draft import OfferedTier
from firstline.config.providers.prices import price_of
from firstline.schemas.plan import Step, StepKind
from firstline.schemas.policy import Demand
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Price, Profile, Tier
from firstline.workers.estimates.answer_guess import answer_length
from firstline.workers.estimates.call_estimate import CHARS_PER_TOKEN, prompt_tokens
from firstline.workers.estimates.expectation import HELD, Rung, Spread, StepLoad, expected
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.gateway import Call
from firstline.workers.rules.policy import policy_of, start_tier

#: Tokens of a prompt's fixed part, and of an answer, of which nothing is known.
_FIXED_TOKENS, _ANSWER = 1000.0, Spread(200.0, 0.9)
#: How far a prompt may be off that was counted by the mean of all items alone.
_PROMPT_OFF = 0.2
#: Characters of all parts that one synthesis takes, where its step does not say.
TREE_CHARS = 48_000


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do."""

    items: int
    mean_chars: int


@dataclass(frozen=True, slots=True)
class StepForecast:
    """What one step will take; dollars are None where a price is unknown."""

    step: str
    tier: str
    calls: int
    cost_usd: float | None


def forecast(
    steps: Sequence[Step],
    *,
    skills: Mapping[str, Skill],
    tiers: Sequence[OfferedTier],
    load: Load,
    orchestrator: str | None = None,
) -> tuple[StepForecast, ...]:
    """Return what each step will take, by the model of `expectation` with nothing measured."""
    loads = {
        step.name: _load(step, skills.get(step.skill or ""), tiers, load, orchestrator)
        for step in steps
        if step.kind is not StepKind.TOOL
    }
    found = expected(list(loads.values()))
    return tuple(
        StepForecast(
            step=step.name,
            tier=loads[step.name].rungs[0].tier if step.name in loads else "tools",
            calls=_subtasks(loads[step.name]) if step.name in loads else 1 if step.is_barrier else load.items,
            cost_usd=0.0 if step.name not in loads else found.steps[step.name].usd if found else None,
        )
        for step in steps
    )


def total(parts: Sequence[StepForecast]) -> float | None:
    """Return the dollars of all steps; None when one of them is unknown."""
    costs = [part.cost_usd for part in parts]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def rungs(profile: Profile) -> tuple[OfferedTier, ...]:
    """Return a profile's ladder with the prices of each tier's first model."""
    return tuple(_rung(tier) for tier in profile.ladder)


def _rung(tier: Tier) -> OfferedTier:
    model = tier.models[0]
    price = price_of(model) or Price()
    return OfferedTier(name=tier.name, model=model.name, input_usd=price.input, output_usd=price.output)


def synthesis_calls(parts_tokens: float, most_chars: float = TREE_CHARS) -> int:
    """Return the calls of one synthesis of parts that are so long together: groups, and one over them."""
    groups = math.ceil(parts_tokens * CHARS_PER_TOKEN / most_chars)
    return groups + 1 if groups > 1 else 1


def fixed_tokens(skill: Skill | None) -> float:
    """Return the tokens of a prompt without any inputs."""
    return _FIXED_TOKENS if skill is None else float(prompt_tokens(Call(Model(name="any"), messages(skill, {}))))


def _load(
    step: Step, skill: Skill | None, tiers: Sequence[OfferedTier], load: Load, orchestrator: str | None
) -> StepLoad:
    policy = policy_of(step, skill)
    ladder = tuple(tier.name for tier in tiers)
    start = _first_tier(step, skill, ladder, orchestrator)
    answer = answer_length(skill) if skill else _ANSWER
    ways = tuple(
        Rung(
            tier.name,
            tier.model,
            Price(input=tier.input_usd, output=tier.output_usd),
            answer=answer,
            attempts=policy.attempts_per_tier,
        )
        for tier in tiers[ladder.index(start) :]
    )
    count, tokens = float(load.items), load.mean_chars / CHARS_PER_TOKEN + _ANSWER.value * len(step.after)
    if step.is_barrier:
        shown = load.items * (step.sample if step.kind is StepKind.CHECKPOINT else 1.0)
        parts = 0.0 if step.kind in (StepKind.PLAN, StepKind.ADAPT) else shown * _ANSWER.value
        count = float(synthesis_calls(parts)) if step.kind is StepKind.SYNTHESIZE else 1.0
        tokens = parts / count
    return StepLoad(
        step=step.name,
        count=count,
        prompt=Spread(fixed_tokens(skill) + tokens, _PROMPT_OFF),
        rungs=ways,
        held=HELD if step.when and not step.is_barrier else None,
        moves=policy.start is None and not step.is_barrier,
    )


def _subtasks(load: StepLoad) -> int:
    return round(load.count * (load.held.mean if load.held else 1.0))


def _first_tier(step: Step, skill: Skill | None, ladder: tuple[str, ...], orchestrator: str | None) -> str:
    policy = policy_of(step, skill)
    if step.kind.is_barrier and policy.start is None:
        return orchestrator if orchestrator in ladder else ladder[-1]
    return start_tier(step.reasoning or (skill.reasoning if skill else Demand.LOW), ladder, policy)
