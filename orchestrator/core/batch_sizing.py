"""How long the calls of a tier take of late, as far as this process has heard: short calls travel in larger batches."""

from dataclasses import dataclass, field

from firstline.schemas.batch import Trail
from firstline.schemas.tier import Tier, TierKind

#: Weight of what was heard last.
_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """How a job's work is cut into messages."""

    #: Subtasks that one message carries at most.
    items: int
    #: Messages that a job travels in at least for each worker process, so that none of them idles.
    messages: int
    #: Messages of the most items that may be out at once, however few calls its workers can make at once.
    in_turn: int = 3

    def size(self, count: int, *, workers: int) -> int:
        """Return the items of one message: one while there are few (lowest latency), more and more up to the most."""
        return max(1, min(self.items, -(-count // (self.messages * workers))))


#: A batch counts in full until its slowest call is through, so calls that take their time travel in small batches; the
#: message about a short call costs more than waiting for its neighbours, and that about one which is answered at once
#: (a lookup, a function) costs more than the call. With three of those (one is answered, one judged, one waits) all
#: were answered, then all judged, then all cut, and worker and orchestrator worked in turn.
USUAL, SHORT, INSTANT = Load(20, 24), Load(50, 24), Load(200, 8, in_turn=8)
#: A student answers at once, too, but while as many audits are out as may be catches it waits, and a batch with it:
#: what it may answer meanwhile is some 4% of its job, which is what eight of these batches hold.
STUDENT = Load(200, 200, in_turn=8)
#: Calls of less than so many seconds are short, or answered at once.
SHORT_S, INSTANT_S = 0.2, 0.02


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

    def load(self, tier: Tier) -> Load:
        """Return how work for the tier is cut; as usual while nothing was heard of it."""
        if tier.kind is TierKind.STUDENT:
            return STUDENT
        slowest_s = self._slowest_s.get(tier.name, SHORT_S)
        if slowest_s < INSTANT_S:
            return INSTANT
        return SHORT if slowest_s < SHORT_S else USUAL
