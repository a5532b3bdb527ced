"""The SHA-256 of a file, and the refusal of one that is not what it should be."""

import hashlib
from pathlib import Path

from firstline.schemas.errors import UserError


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
