"""Measures a crowd: a small tenant beside a large one, fifty who submit at once, two orchestrators against one.

    python -m bench.crowd [--quick] [--json] [--database sqlite|postgresql]

Real processes; the provider is simulated, or, where orchestrators are compared, left out. Said as well: how many bytes
of the database an item takes (one step, one call, short texts), and how often orchestrators wait for locks.
Prints {"targets": [...]} with --json.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import create_engine, text

from bench.kit.figures import Target, at_least, at_most, finish, machine, parser, show
from bench.kit.stage import Stage, staged
from firstline.orchestrator import api
from firstline.schemas.job import JobState
from tests.acceptance.workload import items

#: A small tenant's job may take so many times as long beside a large one as alone.
FAIR = 2.0
#: So many jobs that are submitted at once may take so many times as long as one of as many items.
SUBMITTERS, TOGETHER = 50, 3.0
#: What a second orchestrator must leave of the first one's rate; two cores have no room for more.
SECOND = 0.8
SMALL, ASKED = 50, 5
LATENCY_S = 0.5


def fairness(stage: Stage, large: int) -> tuple[float, float]:
    """Return the median seconds of a small tenant's jobs alone, and beside another tenant's large one."""
    alone_s = statistics.median(_timed(stage, SMALL, "b", f"alone {n}") for n in range(ASKED))
    job = api.submit(stage.request(tenant="a"), items(large, of="large"))
    while api.status(job).settled < large / 20:
        time.sleep(0.2)
    beside_s = [_timed(stage, SMALL, "b", f"beside {n}") for n in range(ASKED)]
    if api.status(job).state is not JobState.RUNNING:
        raise SystemExit(f"the large job was over before the small ones were: {beside_s}")
    api.cancel(job)
    return alone_s, statistics.median(beside_s)


def _timed(stage: Stage, count: int, tenant: str, of: str) -> float:
    begun = time.monotonic()
    stage.wait(api.submit(stage.request(tenant=tenant), items(count, of=of)))
    return time.monotonic() - begun


def at_once(stage: Stage, each: int) -> tuple[float, float, float]:
    """Return the seconds of one job, those of as many items in jobs that are submitted at once, and the slowest submit.

    Every submitter is a tenant of its own.
    """
    one_s = _timed(stage, SUBMITTERS * each, "one", "one")
    begun = time.monotonic()

    def submit(n: int) -> tuple[str, float]:
        job = api.submit(stage.request(tenant=f"t{n}"), items(each, of=f"submitter {n}"))
        return job, time.monotonic() - begun

    with ThreadPoolExecutor(SUBMITTERS) as threads:
        submitted = list(threads.map(submit, range(SUBMITTERS)))
    for job, _ in submitted:
        stage.wait(job)
    return one_s, time.monotonic() - begun, max(seconds for _, seconds in submitted)


@dataclass
class LockWaits:
    """How many of PostgreSQL's backends wait for another one's lock, looked at twenty times a second."""

    url: str
    looks: int = 0
    waiting: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for the length of the block."""
        looker = threading.Thread(target=self._look)
        looker.start()
        try:
            yield
        finally:
            self._over.set()
            looker.join()

    def _look(self) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with engine.connect() as connection:
            while not self._over.wait(0.05):
                self.looks += 1
                self.waiting += int(connection.scalar(query) or 0)
        engine.dispose()

    @property
    def mean(self) -> float:
        """Backends that wait at a moment."""
        return self.waiting / max(1, self.looks)


def rate(options: argparse.Namespace, orchestrators: int, count: int) -> tuple[float, float | None, float]:
    """Return items a second of the engine alone, the backends that wait for locks at a moment, and bytes an item."""
    with staged(database=options.database, instant=True, orchestrators=orchestrators, workers=2) as stage:
        stage.run(300)
        before, waits = _bytes(stage), LockWaits(stage.deployment.database_url)
        if options.database == "sqlite":
            run = stage.run(count)
        else:
            with waits.watched():
                run = stage.run(count)
        of_item = (_bytes(stage) - before) / count
    told = f"{waits.mean:.2f} backends wait for a lock" if waits.looks else "one writer at a time"
    show(
        f"{orchestrators} orchestrator(s): {count / run.seconds:,.0f} items/s, {told}, {of_item:,.0f} bytes an item",
        options,
    )
    return count / run.seconds, waits.mean if waits.looks else None, of_item


def _bytes(stage: Stage) -> int:
    engine = create_engine(stage.deployment.database_url)
    sqlite = engine.dialect.name == "sqlite"
    query = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if sqlite
        else "SELECT pg_database_size(current_database())"
    )
    with engine.connect() as connection:
        size = int(connection.scalar(text(query)) or 0)
    engine.dispose()
    return size


def measure(options: argparse.Namespace) -> list[Target]:
    """Return every figure beside its target."""
    large, each, count = (1500, 10, 5000) if options.quick else (5000, 20, 20_000)
    with staged(latency=LATENCY_S, database=options.database, orchestrators=2) as stage:
        _timed(stage, SMALL, "warm", "warm")
        alone_s, beside_s = fairness(stage, large)
        show(f"{SMALL} items of a tenant: {alone_s:.2f} s alone, {beside_s:.2f} s beside {large:,} of another", options)
        one_s, many_s, slowest_s = at_once(stage, each)
        show(
            f"{SUBMITTERS} jobs of {each} items submitted at once: {many_s:.2f} s, the slowest taken after "
            f"{slowest_s:.2f} s; one job of {SUBMITTERS * each}: {one_s:.2f} s",
            options,
        )
    one, _, of_item = rate(options, 1, count)
    two, waiting, _ = rate(options, 2, count)
    return [
        at_most(f"{SMALL} items beside {large:,} of another tenant, over alone", beside_s / alone_s, FAIR),
        at_most(f"{SUBMITTERS} jobs at once over one of as many items", many_s / one_s, TOGETHER),
        at_least("two orchestrators over one", two / one, SECOND),
        {
            "name": "backends that wait for a lock, two orchestrators",
            "value": waiting and round(waiting, 2),
            "target": "said",
            "met": None,
        },
        {"name": "bytes of the database an item", "value": round(of_item), "target": "said", "met": None},
    ]


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser(
        "crowd", __doc__ or "", "1,500 items beside the small tenant's instead of 5,000, jobs of 10, 5,000 items"
    )
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    options = made.parse_args(argv)
    seen = machine()
    show(seen, options)
    return finish(
        {"bench": "crowd", "machine": seen, "database": options.database, "targets": measure(options)}, options
    )


if __name__ == "__main__":
    sys.exit(main())
