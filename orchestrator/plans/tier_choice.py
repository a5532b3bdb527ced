"""Which of a profile's tiers a job runs on, by what it says of its time."""

from datetime import UTC, datetime

from firstline.schemas.job import Options
from firstline.schemas.tier import Profile, TierKind


def with_tiers(options: Options, profile: Profile, *, now: datetime | None = None) -> Options:
    """Return a job's options with the tiers that it runs on: those of kind `batch` too where its deadline leaves time.

    Without a deadline nobody has said that the job can wait, so it takes none unless its `tiers` name one.
    """
    if options.tiers or options.deadline is None:
        return options
    left_s = (options.deadline - (now or datetime.now(UTC))).total_seconds()
    fit = [tier for tier in profile.rungs if tier.kind is not TierKind.BATCH or tier.bulk.window_s < left_s]
    return options if len(fit) == len(profile.ladder) else options.evolve(tiers=tuple(tier.name for tier in fit))
