"""Which lane a job's calls go on, by the time that it has left: the one place that decides; pure.

| time left until the deadline | how it is asked |
|---|---|
| more than a batch tier's `bulk.window_s` (a day) | the profile's tiers of kind `batch` are on its ladder |
| more than a tier's `slow_lane.window_s` (an hour), or no deadline | on the tier's `service_tier`, where it has one |
| less, or none and priority `high` | at once, on the ordinary lane |

Without a deadline nobody presses, so the slow lane, whose answers take minutes, will do; but nobody has said either
that the job may take a day.
"""

from datetime import UTC, datetime

from firstline.schemas.job import Options
from firstline.schemas.tier import Lane, Model, Profile, Tier, TierKind


def left_s(deadline: datetime | None, now: datetime, *, urgent: bool = False) -> float | None:
    """Return the seconds that a job has left until its deadline; None: it has none, and nobody presses."""
    if deadline is None:
        return 0.0 if urgent else None
    return (deadline - now).total_seconds()


def fits(tier: Tier, left: float | None) -> bool:
    """Say whether a job with so many seconds left, None for no deadline, has the time that a tier may take."""
    return tier.kind is not TierKind.BATCH or (left is not None and left > tier.bulk.window_s)


def with_tiers(options: Options, profile: Profile, *, at: datetime | None = None) -> Options:
    """Return a job's options with the tiers that it runs on, those of kind `batch` where its deadline leaves time."""
    if options.tiers or options.deadline is None:
        return options
    left = left_s(options.deadline, at or datetime.now(UTC))
    chosen = [tier for tier in profile.rungs if fits(tier, left)]
    return options if len(chosen) == len(profile.ladder) else options.evolve(tiers=tuple(tier.name for tier in chosen))


def lane_of(tier: Tier, model: Model, left: float | None) -> Lane | None:
    """Return the slow lane that a call of a model goes on; None: it is made as the model's parameters say."""
    lane = model.service_tier or tier.service_tier
    if lane is None or not lane.is_slow or not model.has_slow_lane:
        return None
    return lane if left is None or left > tier.slow_lane.window_s else None
