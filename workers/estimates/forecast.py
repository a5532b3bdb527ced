"""What a plan will cost, before anything is spent: calls, tokens by rule of thumb, prices of the tiers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstline.config.drafts.draft import OfferedTier
from firstline.config.providers.prices import price_of
from firstline.schemas.plan import Step, StepKind
from firstline.schemas.policy import Demand
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Price, Profile, Tier
from firstline.workers.estimates.call_estimate import CHARS_PER_TOKEN
from firstline.workers.rules.policy import policy_of, start_tier

#: Tokens of an answer of which nothing is known.
ANSWER_TOKENS = 200
#: Share of a tier's answers that climb to the next one, of which nothing is known either.
CLIMBING = 0.2
#: Share of the items for which a `when` holds, of which nothing is known either.
HOLDING = 1 / 3
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
    """Return what each step will take, roughly.

    Prompts are counted at four characters a token and answers at 200 tokens; one answer in five climbs a tier, and a
    `when` holds for one item in three.
    """
    ladder = tuple(tier.name for tier in tiers)
    return tuple(_step(step, skills, tiers, ladder, load, orchestrator) for step in steps)


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


def _step(
    step: Step,
    skills: Mapping[str, Skill],
    tiers: Sequence[OfferedTier],
    ladder: tuple[str, ...],
    load: Load,
    orchestrator: str | None,
) -> StepForecast:
    if step.kind is StepKind.TOOL:
        return StepForecast(step.name, "tools", load.items if step.scope == "item" else 1, 0.0)
    skill = skills.get(step.skill or "")
    tier = _first_tier(step, skill, ladder, orchestrator)
    calls, tokens = _calls(step, skill, load)
    return StepForecast(step.name, tier, calls, _dollars(calls, tokens, tiers[ladder.index(tier) :]))


def _first_tier(step: Step, skill: Skill | None, ladder: tuple[str, ...], orchestrator: str | None) -> str:
    policy = policy_of(step, skill)
    if step.kind.is_barrier and policy.start is None:
        return orchestrator if orchestrator in ladder else ladder[-1]
    return start_tier(step.reasoning or (skill.reasoning if skill else Demand.LOW), ladder, policy)


def _calls(step: Step, skill: Skill | None, load: Load) -> tuple[int, float]:
    """Return how many calls a step makes, and the tokens of one prompt."""
    fixed = _prompt_chars(skill) / CHARS_PER_TOKEN
    if not step.is_barrier:
        items = math.ceil(load.items * (HOLDING if step.when else 1.0))
        return items, fixed + load.mean_chars / CHARS_PER_TOKEN + ANSWER_TOKENS * len(step.after)
    shown = load.items * (step.sample if step.kind is StepKind.CHECKPOINT else 1.0)
    if step.kind in (StepKind.PLAN, StepKind.ADAPT):
        shown = 0
    parts_tokens = shown * ANSWER_TOKENS
    most = TREE_CHARS / CHARS_PER_TOKEN
    groups = math.ceil(parts_tokens / most) if step.kind is StepKind.SYNTHESIZE and parts_tokens > most else 1
    calls = groups + 1 if groups > 1 else 1
    return calls, fixed + parts_tokens / calls


def _prompt_chars(skill: Skill | None) -> int:
    if skill is None:
        return 4_000
    examples = sum(len(json.dumps(example.model_dump(mode="json"))) for example in skill.examples)
    return len(skill.instructions) + len(json.dumps(skill.output)) + examples


def _dollars(calls: int, prompt_tokens: float, tiers: Sequence[OfferedTier]) -> float | None:
    """Return the dollars of the calls on the first of these tiers and of those that climb to the next ones."""
    cost_usd, share = 0.0, 1.0
    for tier in tiers:
        if tier.input_usd is None or tier.output_usd is None:
            return None
        per_call_usd = (prompt_tokens * tier.input_usd + ANSWER_TOKENS * tier.output_usd) / 1e6
        cost_usd += calls * share * per_call_usd
        share *= CLIMBING
    return cost_usd
