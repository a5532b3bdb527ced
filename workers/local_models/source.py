"""A place that models are downloaded from."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from firstline.schemas.base import Frozen
from firstline.schemas.errors import UserError
from firstline.workers.local_models.catalogue import LocalModel

#: Called with what is being done, bytes so far and bytes in all (None where that is unknown).
Progress = Callable[[str, int, int | None], None]


class Unreachable(Frozen):
    """A source that did not deliver, and why; the next one is tried."""

    source: str
    reason: str


#: Puts the model's checked file into the folder and returns its path.
Source = Callable[[LocalModel, Path, Progress], Path | Unreachable]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settle(partial: Path, final: Path, *, sha256: str) -> Path:
    """Move a finished download to its place if its hash is right; otherwise delete it and raise `UserError`.

    The move is atomic, so a file under its final name is always whole and checked.
    """
    came = sha256_of(partial)
    if came != sha256:
        partial.unlink()
        raise UserError(
            f"the download of '{final.name}' was refused and deleted: expected SHA-256 {sha256}, got {came}; "
            "pull again, and do not use that source if it happens twice"
        )
    return partial.replace(final)
