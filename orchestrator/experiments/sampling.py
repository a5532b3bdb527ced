"""Random samples of items, each input once."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import JsonObject, digest


def sample(items: Iterable[InputItem], count: int, *, seed: int, but: Iterable[JsonObject] = ()) -> list[InputItem]:
    """Return `count` usable items drawn evenly at random (all where there are fewer), each input once.

    Equal inputs would count as several labels for one. Reservoir sampling (Vitter 1985, algorithm R): one pass, and
    memory for the sample and a hash per item. What is in `but` is not drawn.
    """
    seen = {item_key(other) for other in but}
    drawn = _Reservoir(count, random.Random(seed))
    for item in items:
        key = item_key(item.input)
        if item.error is None and key not in seen:
            seen.add(key)
            drawn.take(item)
    return drawn.drawn


@dataclass
class _Reservoir:
    """An even sample of what goes by (Vitter 1985, algorithm R)."""

    room: int
    rng: random.Random
    seen: int = 0
    drawn: list[InputItem] = field(default_factory=list)

    def take(self, item: InputItem) -> None:
        self.seen += 1
        if len(self.drawn) < self.room:
            self.drawn.append(item)
        elif (place := self.rng.randrange(self.seen)) < self.room:
            self.drawn[place] = item


@dataclass(frozen=True)
class HeldOut:
    """Items to measure on: some that failed before, some of all others, and how many there are of either."""

    failed: tuple[InputItem, ...]
    others: tuple[InputItem, ...]
    #: Share of all items that failed, those that are learnt from among them.
    failed_share: float

    @property
    def items(self) -> tuple[InputItem, ...]:
        """All of them."""
        return (*self.failed, *self.others)


def hold_out(
    items: Iterable[InputItem], count: int, *, seed: int, learnt: Iterable[JsonObject], failed: Iterable[JsonObject]
) -> HeldOut:
    """Return `count` usable items of all, none of which is learnt from: half of them failed before, where so many did.

    A version that mends what failed shows so, and what it breaks elsewhere shows too; each part is an even sample of
    its kind, so that the share of failures puts them together again.
    """
    known, bad = {item_key(one) for one in learnt}, {item_key(one) for one in failed}
    seen: set[str] = set()
    parts = [_Reservoir(count, random.Random(f"{seed}/{part}")) for part in ("failed", "others")]
    held_back = 0
    for item in items:
        key = item_key(item.input)
        if item.error is not None or key in seen:
            continue
        seen.add(key)
        if key in known:
            held_back += key in bad
        else:
            parts[key not in bad].take(item)
    shuffled = random.Random(seed)
    failures, others = (shuffled.sample(part.drawn, len(part.drawn)) for part in parts)
    taken = min(len(failures), max(count // 2, count - len(others)))
    total = held_back + parts[0].seen + parts[1].seen
    share = (held_back + parts[0].seen) / total if total else 0.0
    return HeldOut(tuple(failures[:taken]), tuple(others[: count - taken]), share)


def item_key(fields: JsonObject) -> str:
    """Return what two items share that differ in nothing but their ids."""
    return digest({name: value for name, value in fields.items() if name != "id"})
