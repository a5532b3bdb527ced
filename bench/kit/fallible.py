"""A worker process whose gateway answers a known share of the items in the form asked for, without HTTP.

A model's name says how good it is: `openai/sim-20-5` answers 20% of the items at the first try and 5% of the rest at
the second. Which ones follows from the item alone, so that what any way up the ladder would have cost can be computed.
"""

import asyncio
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from zlib import crc32

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.workers import process
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.mode_memory import ModeMemory
from firstline.workers.rules.pricing import dollars

#: Tokens of every call.
USAGE = Usage(input_tokens=100, cached_tokens=0, output_tokens=10)
#: Seconds that a call takes.
LATENCY_S = 0.05
_ITEM = re.compile(r"number (\d+) of ([a-z0-9-]+)")
_MODEL = re.compile(r"sim-(\d+)-(\d+)")


def answers(model: str, item: str, tries: int) -> bool:
    """Say whether a model's answer on an item is in the form asked for; `tries`: 0 the first time."""
    found = _MODEL.search(model)
    assert found is not None, model
    share = int(found[1 if tries == 0 else 2]) / 100
    return crc32(f"{model}|{item}|{min(tries, 1)}".encode()) / 2**32 < share


@dataclass
class FallibleGateway:
    """Answers, or fails to, after a moment."""

    batch_api: None = None
    modes: ModeMemory = field(default_factory=ModeMemory)
    _tries: Counter[tuple[str, str]] = field(default_factory=Counter)

    def never_waits(self, work: object, /) -> bool:
        """Say that calls take their time."""
        return False

    async def call(self, call: Call, /) -> Reply:
        """Answer one call."""
        await asyncio.sleep(LATENCY_S)
        found = _ITEM.search(" ".join(str(message.get("content")) for message in call.messages))
        assert found is not None
        key = call.model.name, found[0]
        tries, self._tries[key] = self._tries[key], self._tries[key] + 1
        price = call.model.price
        cost = dollars(USAGE, price) if price is not None else None
        said = Reply(text="no", usage=USAGE, finish_reason="stop", cost_usd=cost, price_source="profile")
        if answers(call.model.name, found[0], tries):
            return replace(said, text='{"label": "a"}', value={"label": "a"}, structured="json_schema")
        return replace(said, error=ErrorKind.MALFORMED, detail="no JSON")


if __name__ == "__main__":
    sys.exit(process.main(load=FallibleGateway))  # type: ignore[arg-type]
