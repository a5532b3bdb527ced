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
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy import create_engine, text

from bench.kit.figures import Target, at_least, at_most, finish, machine, parser, show
from bench.kit.observer import observing
from bench.kit.stage import Stage, staged
from firstline.orchestrator import api
from firstline.schemas.job import JobState
from tests.acceptance.workload import items

#: A small tenant's job may take so many times as long beside a large one as alone.
FAIR = 2.0
#: So many jobs that are submitted at once may take so many times as long as one of as many items.
SUBMITTERS, TOGETHER = 50, 3.0
#: What a second orchestrator must leave of the first one's rate; two cores have no room for more.
SECOND = 0.7
_KINDS = ("orchestrator", "worker")
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
    #: The most backends that were seen, the one that looks left out.
    connections: int = 0

    def look(self, over: threading.Event) -> None:
        """Look until it is over."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        query = text(
            "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'), count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with engine.connect() as connection:
            while not over.wait(0.05):
                waiting, connected = connection.execute(query).one()
                self.looks += 1
                self.waiting += waiting
                self.connections = max(self.connections, connected)
        engine.dispose()

    @property
    def mean(self) -> float:
        """Backends that wait at a moment."""
        return self.waiting / max(1, self.looks)


def rate(options: argparse.Namespace, orchestrators: int, count: int) -> dict[str, float]:
    """Return the figures of the engine alone with so many orchestrators; of locks and transactions on PostgreSQL."""
    with staged(database=options.database, instant=True, orchestrators=orchestrators, workers=2) as stage:
        stage.run(300)
        before, begun, waits = _bytes(stage), _commits(stage), LockWaits(stage.deployment.database_url)
        with nullcontext() if options.database == "sqlite" else observing(waits.look):
            run = stage.run(count)
        time.sleep(1)
        found: dict[str, float] = {
            "items_per_s": round(count / run.seconds),
            "bytes_an_item": round((_bytes(stage) - before) / count),
        }
        if waits.looks:
            commits = (_commits(stage) - begun) / count
            found |= {"lock_waits": round(waits.mean, 2), "connections": waits.connections}
            found |= {"transactions_an_item": round(commits, 2)}
    show(f"orchestrators {orchestrators}: {_told(found)}", options)
    return found


def memory(stage: Stage) -> dict[str, float]:
    """Return the megabytes of the largest process of each kind."""
    used = {name: child.rss_mb for name, child in stage.deployment.children.items()}
    return {f"{kind}_mb": round(max(mb for name, mb in used.items() if name.startswith(kind))) for kind in _KINDS}


def _told(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in figures.items())


def _bytes(stage: Stage) -> int:
    sqlite = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return _asked(stage, sqlite, "SELECT pg_database_size(current_database())")


def _commits(stage: Stage) -> int:
    return _asked(stage, "SELECT 0", "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")


def _asked(stage: Stage, sqlite: str, postgresql: str) -> int:
    engine = create_engine(stage.deployment.database_url)
    with engine.connect() as connection:
        found = int(connection.scalar(text(sqlite if engine.dialect.name == "sqlite" else postgresql)) or 0)
    engine.dispose()
    return found


def measure(options: argparse.Namespace) -> tuple[list[Target], dict[str, object]]:
    """Return what has a target beside it, and all else that was found."""
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
        used = memory(stage)
        show(_told(used), options)
    one, two = rate(options, 1, count), rate(options, 2, count)
    found = [
        at_most(f"{SMALL} items beside {large:,} of another tenant, over alone", beside_s / alone_s, FAIR),
        at_most(f"{SUBMITTERS} jobs at once over one of as many items", many_s / one_s, TOGETHER),
        at_least("two orchestrators over one", two["items_per_s"] / one["items_per_s"], SECOND),
    ]
    return found, {"memory": used, "one_orchestrator": one, "two_orchestrators": two}


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser(
        "crowd", __doc__ or "", "1,500 items beside the small tenant's instead of 5,000, jobs of 10, 5,000 items"
    )
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    options = made.parse_args(argv)
    seen = machine()
    show(seen, options)
    found, figures = measure(options)
    return finish(
        {"bench": "crowd", "machine": seen, "database": options.database, "targets": found, **figures}, options
    )


if __name__ == "__main__":
    sys.exit(main())
