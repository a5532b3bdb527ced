"""How long the calls of a tier take of late, as far as this process has heard: short calls travel in larger batches."""

from dataclasses import dataclass, field

from schemas.batch import Trail

#: Calls of less than so many seconds are short: a message about them costs more than waiting for the slowest of them.
SHORT_S = 0.2
#: Weight of what was heard last.
_WEIGHT = 0.2


@dataclass
class Pace:
    """Seconds of the slowest call of a batch, by tier; a hint, which no other process needs to share."""

    _slowest_s: dict[str, float] = field(default_factory=dict)

    def hear(self, trail: Trail) -> None:
        """Learn from a trail."""
        slowest_s = max((attempt.latency_s for item in trail.items for attempt in item.attempts), default=None)
        if slowest_s is not None:
            known_s = self._slowest_s.get(trail.tier, slowest_s)
            self._slowest_s[trail.tier] = known_s + _WEIGHT * (slowest_s - known_s)

    def is_short(self, tier: str) -> bool:
        """Return whether the tier's calls are known to be short."""
        return self._slowest_s.get(tier, SHORT_S) < SHORT_S
