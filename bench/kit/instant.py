"""A worker process whose gateway answers at once, without HTTP: what is left is the engine."""

import sys

from firstline.schemas.attempt import Usage
from firstline.workers import process
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.mode_memory import ModeMemory

#: A word that an item may hold, and the label that it then has.
MARK = "beta"
_USAGE = Usage(input_tokens=60, cached_tokens=0, output_tokens=5)


class InstantGateway:
    """Gives a valid answer to every call: `b` where the item holds the mark, else `a`."""

    batch_api = None
    modes = ModeMemory()

    def never_waits(self, work: object, /) -> bool:
        """Say that nothing is prepared on threads."""
        return False

    async def call(self, call: Call, /) -> Reply:
        """Answer one call."""
        label = "b" if MARK in str(call.messages[-1]["content"]) else "a"
        return Reply(
            text=f'{{"label": "{label}"}}',
            value={"label": label},
            usage=_USAGE,
            finish_reason="stop",
            structured="json_schema",
            cost_usd=8e-6 if "cheap" in call.model.name else 8e-5,
            price_source="profile",
        )


if __name__ == "__main__":
    sys.exit(process.main(load=InstantGateway))
