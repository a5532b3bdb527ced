"""Random samples of items, each input once."""

import random
from collections.abc import Iterable

from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.base import JsonObject, digest


def sample(items: Iterable[InputItem], count: int, *, seed: int, but: Iterable[JsonObject] = ()) -> list[InputItem]:
    """Return `count` usable items drawn evenly at random (all where there are fewer), each input once.

    Equal inputs would count as several labels for one. Reservoir sampling (Vitter 1985, algorithm R): one pass, and
    memory for the sample and a hash per item. What is in `but` is not drawn.
    """
    rng = random.Random(seed)
    seen = {item_key(other) for other in but}
    drawn: list[InputItem] = []
    usable = 0
    for item in items:
        key = item_key(item.input)
        if item.error is not None or key in seen:
            continue
        seen.add(key)
        usable += 1
        if len(drawn) < count:
            drawn.append(item)
        elif (place := rng.randrange(usable)) < count:
            drawn[place] = item
    return drawn


def item_key(fields: JsonObject) -> str:
    """Return what two items share that differ in nothing but their ids."""
    return digest({name: value for name, value in fields.items() if name != "id"})
