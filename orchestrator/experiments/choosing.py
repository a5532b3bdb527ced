"""Making a model the one that a skill starts on: what a comparison ends with."""

from firstline.config.catalogue.catalogue import Catalogue
from firstline.config.catalogue.file_kinds import FileKind
from firstline.config.catalogue.own_files import save_own
from firstline.config.catalogue.yaml_text import as_yaml
from firstline.orchestrator.experiments.compare import pick
from firstline.schemas.errors import UserError


def choose_model(catalogue: Catalogue, *, skill: str, profile: str, model: str) -> str:
    """Let a skill start on a model's tier, and the tier ask that model first; return the tier's name.

    Both are written as the user's own files where they change. UserError: unknown names, a model of no tier.
    """
    ladder = catalogue.profile(profile)
    if model not in [one.name for one in ladder.models]:
        raise UserError(f"profile '{profile}' has no model '{model}'; add it to a tier first")
    tier, chosen = pick(ladder, model)
    if tier.models[0] != chosen:
        others = tuple(one for one in tier.models if one != chosen)
        changed = tier.evolve(models=(chosen, *others))
        tiers = tuple(changed if one.name == tier.name else one for one in ladder.tiers)
        save_own(catalogue, FileKind.PROFILE, profile, as_yaml(ladder.evolve(tiers=tiers)))
    known = catalogue.skill(skill)
    if known.policy.start != tier.name:
        moved = known.evolve(policy=known.policy.evolve(start=tier.name))
        save_own(catalogue, FileKind.SKILL, skill, as_yaml(moved))
    return tier.name
