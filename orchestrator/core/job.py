"""A job as the engine reads it: its plan, profile and options parsed, its ladder and priority."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from firstline.config.queues.app import PRIORITIES, SMALL_JOB
from firstline.orchestrator.core.sharding import SHARD_ITEMS
from firstline.schemas.job import JobState, Options, Priority
from firstline.schemas.plan import Plan
from firstline.schemas.tier import Profile, Tier, TierKind
from firstline.workers.rules.policy import orchestrator_tier

#: Items up to which a job of normal priority goes before larger ones.
SMALL_ITEMS = 50


@dataclass(frozen=True)
class Job:
    """A job as the engine reads it: its plan and profile parsed."""

    id: str
    name: str
    state: JobState
    segment: int
    items: int
    budget_usd: float | None
    tenant: str
    plan: Plan
    profile: Profile
    options: Options
    folders: tuple[str, ...]
    #: Why it is as it is, or does not get on.
    reason: str | None = None
    deadline: datetime | None = None
    #: Items that one of its shards holds at most; fewer than usual where they are large.
    shard_items: int = SHARD_ITEMS

    @cached_property
    def ladder(self) -> tuple[str, ...]:
        """Names of the tiers that models answer on, cheapest first."""
        chosen = self.options.tiers
        if not chosen:
            return tuple(tier.name for tier in self.profile.ladder)
        return tuple(tier.name for tier in self.profile.rungs if tier.name in chosen)

    @property
    def orchestrator(self) -> str:
        """Name of the tier that plans, reviews and is referred to."""
        return orchestrator_tier(self.profile, self.ladder)

    def tier(self, name: str) -> Tier:
        """Return a tier by name; the tools tier exists even where the profile does not name it."""
        tier = self.profile.tier(name)
        if tier is None:
            return Tier(name=name, kind=TierKind.TOOLS, queue=name, concurrency=4)
        return tier.for_tenant(self.tenant)

    @property
    def priority(self) -> int:
        """The priority of its messages; 0 goes first."""
        if self.options.priority is Priority.NORMAL and self.items <= SMALL_ITEMS:
            return SMALL_JOB
        return PRIORITIES[self.options.priority]
