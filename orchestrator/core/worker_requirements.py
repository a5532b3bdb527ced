"""What workers need before they are started: a queue for every tier, a key for at least one model of each."""

from functools import cache
from pathlib import Path

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.providers.doctor import host_of, listens
from firstline.config.providers.providers import variables_of
from firstline.config.providers.secrets import secret
from firstline.config.settings import get_settings
from firstline.schemas.errors import UserError
from firstline.schemas.tier import TENANT, Model, Profile, Tier, TierKind

#: Where steps of plain functions wait when the profile names no tier for them.
TOOLS_QUEUE = "tools"


def worker_queues(profile: Profile) -> list[tuple[str, ...]]:
    """Return the queues of each worker process: one process a rung of the ladder; the lowest one's also runs tools."""
    lowest, *others = [(name,) for name in dict.fromkeys(tier.queue for tier in profile.rungs)]
    tools = [tier.queue for tier in profile.tiers if tier.kind is TierKind.TOOLS] or [TOOLS_QUEUE]
    return [(*lowest, *tools), *others]


def worker_arguments(
    tiers: list[str], profile: str | None, *, threads: int | None, record: Path | None
) -> tuple[str, ...]:
    """Return the arguments of a worker process for tiers of a profile; UserError for a tier that it lacks."""
    ladder = load_catalogue().profile(profile or get_settings().profile)
    flags = [part for name in tiers for part in ("--queue", _queue(ladder, name))]
    flags += ["--threads", str(threads)] if threads else []
    return (*flags, *(("--record", str(record)) if record else ()))


def _queue(ladder: Profile, name: str) -> str:
    tier = ladder.tier(name)
    if tier is not None:
        return tier.queue
    if name == TOOLS_QUEUE:
        return name
    raise UserError(
        f"profile '{ladder.name}' has no tier '{name}'; expected one of {', '.join(tier.name for tier in ladder.tiers)}"
    )


def require_keys(profile: Profile) -> None:
    """Raise a UserError when a tier has no model whose key is set."""
    for tier in profile.ladder:
        if all(_missing(model) for model in tier.models):
            raise UserError(_no_key(profile, tier))


def require_servers(profile: Profile) -> None:
    """Raise a UserError when nothing listens where any model of a tier is said to be."""
    answers = cache(listens)
    for tier in profile.ladder:
        bases = [model.api_base for model in tier.models if model.service is None]
        if all(base is not None and not answers(base) for base in bases) and len(bases) == len(tier.models):
            wanted = ", ".join(dict.fromkeys(host_of(base) for base in bases if base))
            raise UserError(
                f"profile '{profile.name}' cannot reach any model of tier '{tier.name}': nothing listens at {wanted}; "
                "start the server, or look at `api_base:` in the profile"
            )


def refuse_services(profile: Profile) -> None:
    """Raise a UserError when a profile's models are services that only an embedded run starts."""
    if profile.services:
        names = ", ".join(service.name for service in profile.services)
        raise UserError(
            f"profile '{profile.name}' has services ({names}) that only `firstline run` without FIRSTLINE_REDIS_URL "
            "starts; unset it, or use a profile whose models have addresses of their own"
        )


def _missing(model: Model) -> tuple[str, ...]:
    # Amazon's keys may come from a role, a profile or the machine itself: only the call can tell.
    # Nor is it known here whose keys will be asked for where every tenant has its own.
    asked = (name for name in variables_of(model) if not name.startswith("AWS_") and TENANT not in name)
    return tuple(name for name in asked if secret(name) is None)


def _no_key(profile: Profile, tier: Tier) -> str:
    wanted = dict.fromkeys(name for model in tier.models for name in _missing(model))
    return (
        f"profile '{profile.name}' cannot call any model of tier '{tier.name}': expected {' or '.join(wanted)} in the "
        f"environment or in .env; `firstline doctor {profile.name}` says where keys come from"
    )
