"""Which of a profile's tiers a job runs on, by what it says of its time."""

from datetime import UTC, datetime

from firstline.schemas.job import Options
from firstline.schemas.tier import Profile
from firstline.workers.rules.lanes import fits, left_s


def with_tiers(options: Options, profile: Profile, *, now: datetime | None = None) -> Options:
    """Return a job's options with the tiers that it runs on, those of kind `batch` where its deadline leaves time."""
    if options.tiers or options.deadline is None:
        return options
    left = left_s(options.deadline, now or datetime.now(UTC))
    chosen = [tier for tier in profile.rungs if fits(tier, left)]
    return options if len(chosen) == len(profile.ladder) else options.evolve(tiers=tuple(tier.name for tier in chosen))
