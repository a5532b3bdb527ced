"""The trails that a worker answered last, for deliveries that come again because a judge or Redis lost theirs."""

from collections import OrderedDict

from firstline.schemas.batch import Trail

#: Trails kept; one of twenty items takes about 40 kB.
KEPT = 200


class RecentTrails:
    """Trails by batch, the oldest forgotten first."""

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._trails: OrderedDict[str, Trail] = OrderedDict()

    def keep(self, trail: Trail) -> None:
        """Remember a trail."""
        self._trails[trail.batch] = trail
        while len(self._trails) > self._size:
            self._trails.popitem(last=False)

    def of(self, batch: str) -> Trail | None:
        """Return the trail of a batch that this worker answered lately."""
        return self._trails.get(batch)
