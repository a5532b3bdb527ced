"""Items that came in a message, as a file: so that they are read, checked and named as those of a file are."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstline.schemas.base import JsonObject


@dataclass(frozen=True)
class ItemFile:
    """Items that came in a message and lie in a JSONL file already, which who made it removes."""

    path: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def __str__(self) -> str:
        return f"{self.count:,}"


@contextmanager
def as_file(items: Sequence[JsonObject] | ItemFile) -> Iterator[Path | None]:
    """Yield items as a JSONL file; None: no items."""
    if isinstance(items, ItemFile):
        yield items.path
        return
    if not items:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="firstline-") as folder:
        path = Path(folder) / "items.jsonl"
        with path.open("w", encoding="utf-8") as file:
            # Half a character (an unpaired surrogate) is written as an escape: its item fails, not the request.
            file.writelines(f"{json.dumps(item)}\n" for item in items)
        yield path
