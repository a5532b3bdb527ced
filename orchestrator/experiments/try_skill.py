"""One skill on one item, alone on one tier: its prompt, each raw answer, what the checks said, and the price."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from firstline.config.catalogue.catalogue import Catalogue, load_catalogue, of_skill
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.plans.compile import ladder_of
from firstline.orchestrator.reports.item_history import Story, story_of
from firstline.orchestrator.run.runner import View, crew_for, follow
from firstline.orchestrator.submission.run_request import SIMULATOR, Order, with_script
from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier, TierKind
from firstline.workers.prompts.prompt import messages
from firstline.workers.providers.gateway import Message
from firstline.workers.rules.policy import start_tier
from firstline.workers.rules.step_inputs import Unfit, inputs_of

#: Name of the tier for a model that the profile lacks.
_OWN_TIER = "try"


@dataclass(frozen=True)
class Trial:
    """The prompt of the first attempt, before a way to ask for JSON adds to it, and all that followed."""

    #: Step -> the messages of its first call.
    prompts: Mapping[str, tuple[Message, ...]]
    story: Story


def try_skill(
    name: str, given: str, *, profile: str | None = None, model: str | None = None, script: Path | None = None
) -> Trial:
    """Run a skill (by name or path) on one item through the workers' own code, started for it and stopped after it.

    `given` is the item as a JSON object, or a text for the skill's only required field. `model` is one of the profile's
    or any other that litellm knows. UserError before anything starts.
    """
    catalogue = load_catalogue()
    skill = catalogue.skill(name)
    item = read_item(given, skill)
    step = of_skill(skill, inline=True).steps[0]
    inputs = inputs_of(step, skill, item, {})
    if isinstance(inputs, Unfit):
        raise UserError(f"the item will not do: {inputs.reason}")
    order = _order(catalogue, skill, profile, model, script)
    with crew_for(order) as crew:
        job = api.submit(order.request.evolve(profile=crew.profile), [item], folders=order.functions)
        follow(job, View(quiet=True), crew.check)
        with api.engine().db.reading() as tx:
            return Trial({step.name: messages(skill, inputs)}, story_of(tx, job=job, n=0))


def read_item(given: str, skill: Skill) -> JsonObject:
    """Return the item that a person typed; UserError says what the skill takes."""
    if given.lstrip().startswith("{"):
        try:
            item: JsonObject = json.loads(given)
        except ValueError as error:
            raise UserError(f"--item begins like a JSON object and is none: {error}") from None
        return item
    required = [name for name, field in skill.input.items() if field.required]
    if len(required) != 1:
        example = json.dumps(dict.fromkeys(required or skill.input, "..."))
        raise UserError(f"skill '{skill.name}' takes {', '.join(skill.input)}: expected --item '{example}', got a text")
    return {required[0]: given}


def on_one_tier(profile: Profile, skill: Skill, model: str | None) -> tuple[Profile, str]:
    """Return the profile with the one tier that is tried (and those that confidence signals ask), and its name."""
    tier = _tier(profile, skill, model)
    asked = {signal.tier for signal in skill.confidence} - {tier.name}
    others = [one for one in profile.tiers if one.kind is TierKind.TOOLS or one.name in asked]
    used = {one.service for kept in (tier, *others) for one in kept.models}
    services = tuple(service for service in profile.services if service.name in used)
    return profile.evolve(tiers=(tier, *others), orchestrator=None, services=services), tier.name


def _tier(profile: Profile, skill: Skill, model: str | None) -> Tier:
    if model is None:
        name = start_tier(skill.reasoning, ladder_of(profile, ()), skill.policy)
        return next(tier for tier in profile.ladder if tier.name == name)
    for tier in profile.ladder:
        for known in tier.models:
            if model in (known.name, known.name.rpartition("/")[2]):
                return tier.evolve(models=(known,))
    return Tier(name=_OWN_TIER, models=(Model(name=model),))


def _order(catalogue: Catalogue, skill: Skill, profile: str | None, model: str | None, script: Path | None) -> Order:
    chosen = catalogue.profile(profile or get_settings().profile)
    narrowed, tier = on_one_tier(chosen, skill, model)
    if script is None and any(service.kind == SIMULATOR and service.source is None for service in narrowed.services):
        raise UserError(
            f"profile '{chosen.name}' replays answers: add --script FILE with what to replay, or choose one with real "
            "models by --profile (`firstline tiers` lists them)"
        )
    ladder = with_script(narrowed, str(script.absolute()) if script else None)
    workflow = of_skill(skill, inline=True)
    workflow = workflow.evolve(tools=tuple(catalogue.parts(workflow).tools.values()))
    options = Options(profile=ladder.name, purpose="try", tiers=(tier,))
    request = JobRequest(workflow=workflow, profile=ladder, options=options)
    return Order(request, ladder, None, functions=catalogue.functions)
