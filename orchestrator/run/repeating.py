"""The same run again and again: after each interval, or for each file that arrives in a folder."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from stat import S_ISREG

from firstline.orchestrator import api
from firstline.orchestrator.results.sql_table import names_table
from firstline.orchestrator.store import jobs
from firstline.schemas.base import digest
from firstline.schemas.errors import UserError

#: Seconds between two looks at a folder; a file that is the same in two of them has arrived whole.
LOOK_S = 2.0
#: Stands in `--out` for the name of the file that a run is about.
NAME = "{name}"


def every(
    interval: timedelta,
    once: Callable[[], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Do something now and whenever an interval has passed; one that it takes longer than is passed over."""
    due, step = clock(), interval.total_seconds()
    while True:
        once()
        while due <= clock():
            due += step
        sleep(due - clock())


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has arrived whole."""

    path: Path
    #: Of its job: the same file, unchanged, is the same job, whoever sees it and however often.
    key: str

    @property
    def job(self) -> str | None:
        """The job that was made of it; None: none was."""
        with api.engine().db.reading() as tx:
            return jobs.with_key(tx, idempotency_key=self.key)

    def out(self, pattern: str | None) -> str | None:
        """Return where its results go."""
        return pattern.replace(NAME, self.path.stem) if pattern else None


def arrivals(folder: Path, *, what: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[Arrival]:
    """Yield each file of a folder when it has arrived, and again when it has changed; hidden ones are passed over.

    `what` is done with them: the same file for something else is another job.
    """
    if not folder.is_dir():
        raise UserError(f"--watch: expected a folder, got '{folder}'")
    before: dict[Path, tuple[int, int]] = {}
    seen: set[str] = set()
    while True:
        found = dict(_stamped(folder))
        for path, stamp in sorted(found.items()):
            key = f"watch:{digest([what, str(path.absolute()), *stamp], length=32)}"
            if before.get(path) == stamp and key not in seen:
                seen.add(key)
                yield Arrival(path, key)
        before = found
        sleep(LOOK_S)


def _stamped(folder: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    for path in folder.iterdir():
        # It may be gone by now.
        with suppress(FileNotFoundError):
            status = path.stat()
            if not path.name.startswith(".") and S_ISREG(status.st_mode):
                yield path, (status.st_size, status.st_mtime_ns)


def refuse_one_file(out: str | None) -> None:
    """Raise a UserError where the results of each file would take the place of the last one's."""
    if out and out != "-" and NAME not in out and not names_table(out):
        raise UserError(
            f"--watch: expected {NAME} in --out, such as done/{NAME}.csv, or a database's table; got '{out}'"
        )
