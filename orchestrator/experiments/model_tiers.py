"""A profile in which each model that may answer has a tier of its own, so that each is weighed by itself."""

from firstline.schemas.errors import UserError
from firstline.schemas.tier import Profile, Tier, TierKind


def weighed_tiers(profile: Profile, chosen: str | None) -> tuple[Tier, ...]:
    """Return the tiers below the top one that are weighed, cheapest first."""
    names = [tier.name for tier in profile.ladder]
    if len(names) < 2:
        raise UserError(f"profile '{profile.name}' has one tier of models, {names[0]}; there is nothing to escalate to")
    if chosen is not None and chosen not in names[:-1]:
        raise UserError(f"--tier: expected one of {', '.join(names[:-1])}, got '{chosen}'")
    return tuple(tier for tier in profile.ladder[:-1] if chosen in (None, tier.name))


def by_model(profile: Profile) -> Profile:
    """Return the profile with a tier for each model that may answer on one: `cheap`, `cheap-2` and so on."""
    return profile.evolve(tiers=tuple(one for tier in profile.tiers for one in _split(tier)))


def _split(tier: Tier) -> tuple[Tier, ...]:
    if tier.kind not in (TierKind.MODEL, TierKind.DECISION):
        return (tier,)
    return tuple(
        tier.evolve(name=alone(tier.name, number), models=(model,)) for number, model in enumerate(tier.models)
    )


def alone(tier: str, number: int) -> str:
    """Return the name of the tier that is made for a tier's model of that number alone."""
    return tier if number == 0 else f"{tier}-{number + 1}"
