"""A place that models are downloaded from."""

from collections.abc import Callable
from pathlib import Path

from firstline.schemas.base import Frozen
from firstline.workers.local_models.catalogue import LocalModel

#: Called with what is being done, bytes so far and bytes in all (None where that is unknown).
Progress = Callable[[str, int, int | None], None]


class Unreachable(Frozen):
    """A source that did not deliver, and why; the next one is tried."""

    source: str
    reason: str


#: Puts the model's checked file into the folder and returns its path.
Source = Callable[[LocalModel, Path, Progress], Path | Unreachable]
