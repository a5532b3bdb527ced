"""How a job's items are cut into shards: so few that one may be read, cut and sent whole, however large they are."""

from dataclasses import dataclass, field

#: Items of one shard.
SHARD_ITEMS = 200
#: Items of one shard among the first `SHARD_ITEMS` items: where nothing is measured yet, little is sent at once.
FIRST_ITEMS = 20
_FIRST_SHARDS = SHARD_ITEMS // FIRST_ITEMS
#: Items of all shards where a usual shard would weigh more than `SHARD_BYTES`; the last holds whatever weight.
_FEWER = (20, 4)
#: Bytes of input that are read, cut and sent at once. They are held several times over meanwhile: as the database gave
#: them, as values, as a message, and as what Celery makes of it.
SHARD_BYTES = 32 * 2**20
#: Shards' worth of items that a job with large ones has out at most; Redis holds them.
_SHARDS_OUT = 8


def shard_of(item: int, size: int = SHARD_ITEMS) -> int:
    """Return the number of an item's shard where one holds `size` items; steps of the whole job have shard 0."""
    item = max(0, item)
    if size < SHARD_ITEMS:
        return item // size
    if item < SHARD_ITEMS:
        return item // FIRST_ITEMS
    return _FIRST_SHARDS - 1 + item // SHARD_ITEMS


def first_item(shard: int, size: int = SHARD_ITEMS) -> int:
    """Return the number of a shard's first item."""
    if size < SHARD_ITEMS:
        return shard * size
    return shard * FIRST_ITEMS if shard < _FIRST_SHARDS else (shard - _FIRST_SHARDS + 1) * SHARD_ITEMS


@dataclass
class Weights:
    """Bytes of a job's items as they come in, in order: how large its shards may be."""

    _now: dict[int, tuple[int, int]] = field(default_factory=dict)
    _heaviest: dict[int, int] = field(default_factory=dict)

    def add(self, item: int, size: int) -> None:
        """Note that the item of this number has so many bytes of input."""
        for items in (SHARD_ITEMS, *_FEWER):
            shard = item // items
            before, weight = self._now.get(items, (shard, 0))
            weight = size if before != shard else weight + size
            self._now[items] = shard, weight
            self._heaviest[items] = max(weight, self._heaviest.get(items, 0))

    @property
    def shard_items(self) -> int:
        """Items that a shard of this job may hold."""
        sizes = (SHARD_ITEMS, *_FEWER)
        return next((items for items in sizes if self._heaviest.get(items, 0) <= SHARD_BYTES), _FEWER[-1])


def most_together(shard_items: int) -> int | None:
    """Return the items that one message may carry where a job's are large; None: as many as one likes."""
    return max(1, shard_items // 4) if shard_items < SHARD_ITEMS else None


def most_out(shard_items: int) -> int | None:
    """Return the items that a job with large ones may have out at once; None: as many as its workers keep busy."""
    return _SHARDS_OUT * shard_items if shard_items < SHARD_ITEMS else None
