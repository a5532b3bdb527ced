"""Models as their workers' shared state in Redis shows them: cool-downs, calls in flight, pace."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import redis

from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.base import Frozen
from firstline.schemas.tier import Model, Profile, Tier
from firstline.workers.limits.cooldown_rules import RULES
from firstline.workers.providers.endpoint import endpoint


class ModelHealth(Frozen):
    """One model of a tier at this moment."""

    tier: str
    model: str
    #: When it may be called again; None: now.
    cooling_until: datetime | None = None
    #: After what, in words.
    cooling_after: str | None = None
    #: Calls under way (counted only where they are limited), and how many may be.
    in_flight: int | None = None
    in_flight_limit: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    #: Seconds that a call made now would wait for its turn under the limits.
    wait_s: float = 0.0

    @property
    def is_cooling(self) -> bool:
        """Whether it is left alone now."""
        return self.cooling_until is not None


def model_health(client: redis.Redis, keys: Keys, profile: Profile) -> list[ModelHealth]:
    """Return every model of a ladder in its order; by the clock of Redis, which all share."""
    models = [(tier, model) for tier in profile.ladder for model in tier.models]
    pipe = client.pipeline(transaction=False)
    pipe.time()
    for _, model in models:
        name = endpoint(model)
        pipe.hmget(keys.cooldown(name), ["until", "kind"])
        pipe.hmget(keys.limit(name), ["requests_at", "tokens_at"])
        pipe.zcard(f"{keys.limit(name)}:in_flight")
    (seconds, micros), *found = pipe.execute()
    now_s = seconds + micros / 1e6
    return [_health(tier, model, found[3 * n : 3 * n + 3], now_s) for n, (tier, model) in enumerate(models)]


def _health(tier: Tier, model: Model, found: Sequence[Any], now_s: float) -> ModelHealth:
    (until, kind), paces, in_flight = found
    until_s = float(until or 0.0)
    cooling = until_s > now_s
    limits = model.limits
    return ModelHealth(
        tier=tier.name,
        model=model.name,
        cooling_until=datetime.fromtimestamp(until_s, UTC) if cooling else None,
        cooling_after=RULES[ErrorKind(kind)].words if cooling and kind else None,
        in_flight=int(in_flight) if limits.in_flight is not None else None,
        in_flight_limit=limits.in_flight,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        wait_s=max([0.0, *(float(at) - now_s for at in paces if at)]),
    )
