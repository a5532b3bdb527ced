"""Measures items as large as they may be: what each process, Redis and the disks hold while a thousand are answered.

    python -m bench.large_items [--quick] [--json] [--items N] [--megabytes MB] [--database sqlite|postgresql]

Real processes, a simulated provider that reads every prompt whole. What may not grow with the number of items is the
memory of each process and of Redis; the database holds the items, and nothing else does. Ends early, and says so, when
the machine has less than 2 GB left.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from sqlalchemy import select

from bench.kit.figures import Target, at_most, finish, machine, parser, show
from bench.kit.observer import observing
from firstline.orchestrator import api
from firstline.orchestrator.store.tables import ItemRow
from firstline.schemas.job import JobRequest
from firstline.schemas.plan import Workflow
from firstline.schemas.skill import InputField
from firstline.schemas.tier import Profile
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import check, request, script
from tests.servers import RedisServer, postgresql

#: Characters that a skill is asked to take.
MOST_CHARS = 6_000_000
STEPS, CALLS_AT_ONCE, LATENCY_S = 1, 8, 0.5
MB = 2**20
#: What a process may hold, in megabytes, and Redis: less than docker-compose.yml grants them (1 GB, 512 MB).
PROCESS_MB, REDIS_MB = 1000.0, 500.0
#: What the machine has to have left, in bytes.
_LEFT = 2 * 2**30
_WORDS = [f"{word}{n}" for n in range(500) for word in ("parcel", "late", "refund", "invoice", "where", "thanks")]


def texts(count: int, megabytes: float) -> Iterator[dict[str, str]]:
    """Yield items of so many megabytes of words, no two alike."""
    block = " ".join(random.Random(7).choices(_WORDS, k=20_000))
    size = int(megabytes * MB)
    for n in range(count):
        yield {"id": str(n), "text": f"letter {n} {block * (size // len(block) + 1)}"[:size]}


def asked(profile: Profile) -> JobRequest:
    """Return what is asked about each: a skill that takes as much as an item may hold."""
    made = request(profile, steps=STEPS, name="large")
    flow = made.workflow
    assert isinstance(flow, Workflow)
    takes = {"text": InputField(max_chars=MOST_CHARS)}
    return made.evolve(workflow=flow.evolve(skills=tuple(one.evolve(input=takes) for one in flow.skills)))


@dataclass
class Peaks:
    """The most that was seen of everything, in megabytes."""

    deployment: Deployment
    spool: Path
    known: dict[str, float] = field(default_factory=dict)
    #: Why the measurement ended early.
    stopped: str | None = None

    def look(self, over: threading.Event) -> None:
        """Look until it is over."""
        client = redis.Redis(port=self.deployment.redis.port)
        while not over.wait(0.2):
            for name, child in self.deployment.children.items():
                self._note(name, child.rss_mb)
            self._note("producer", psutil.Process().memory_info().rss / MB)
            self._note("Redis", client.info("memory")["used_memory"] / MB)
            self._note("state folder", _folder_mb(self.spool))
            if psutil.virtual_memory().available < _LEFT:
                self.stopped = "the machine has less than 2 GB left"
                for name in self.deployment.children:
                    self.deployment.kill(name)

    def _note(self, name: str, megabytes: float) -> None:
        self.known[name] = max(self.known.get(name, 0.0), megabytes)


def _folder_mb(folder: Path) -> float:
    sizes = 0.0
    for file in folder.rglob("*"):
        try:
            sizes += file.stat().st_size
        except OSError:  # gone meanwhile
            continue
    return sizes / MB


def measured(options: argparse.Namespace, count: int) -> list[Target]:
    """Run one job of so many large items; return what it took beside its bounds."""
    with ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-large-")))
        if options.database == "postgresql":
            url = stack.enter_context(postgresql()).new_database("large")
        else:
            url = f"sqlite:///{folder / 'database' / 'firstline.db'}"
        state = folder / "state"
        deployment = Deployment(
            folder,
            url,
            script(LATENCY_S),
            RedisServer(folder / "redis"),
            env={"FIRSTLINE_LOG_LEVEL": "WARNING", "FIRSTLINE_STATE_DIR": str(state)},
        )
        stack.enter_context(running(deployment))
        peaks = Peaks(deployment, state)
        profile = deployment.profile(cheap=CALLS_AT_ONCE, frontier=CALLS_AT_ONCE)
        with observing(peaks.look):
            begun = time.monotonic()
            job = api.submit(asked(profile), texts(count, options.megabytes))
            submit_s = time.monotonic() - begun
            show(f"submitted {count} items of {options.megabytes:g} MB in {submit_s:.0f} s", options)
            told = 0.0
            while not (status := api.status(job)).state.ended and peaks.stopped is None:
                if time.monotonic() > told + 20:
                    told = time.monotonic()
                    show(f"  {status.ended_items} of {count}; {_said(peaks)}", options)
                time.sleep(1)
            seconds = time.monotonic() - begun
        show(f"{status.state}: {seconds:.0f} s; {_said(peaks)}", options)
        found = check(url, job, deployment.paid(), steps=STEPS, profile=profile)
        reasons = _reasons(job) if found.lost else ""
        show(f"{found.paid} calls, {found.paid_twice} of them twice{reasons}", options)
    known = peaks.known
    processes = {name: mb for name, mb in known.items() if name not in ("Redis", "state folder", "simulator")}
    return [
        at_most(f"items without an answer{f': {peaks.stopped}' if peaks.stopped else ''}", found.lost, 0),
        at_most("settled twice", found.settled_twice, 0),
        at_most("calls paid twice", found.paid_twice, 0),
        at_most("dollars off", found.off_usd, 1e-6, digits=9),
        *(at_most(f"{name}: MB at most", mb, PROCESS_MB, digits=0) for name, mb in sorted(processes.items())),
        at_most("Redis: MB at most", known.get("Redis"), REDIS_MB, digits=0),
        at_most("state folder: MB at most", known.get("state folder"), REDIS_MB, digits=0),
    ]


def _said(peaks: Peaks) -> str:
    return ", ".join(f"{name} {mb:.0f} MB" for name, mb in sorted(peaks.known.items()))


def _reasons(job: str) -> str:
    item = ItemRow.__table__.c  # type: ignore[attr-defined]
    with api.engine().db.reading() as tx:
        found = set(tx.scalars(select(item.reason).where(item.job == job).distinct()))
    return f"; reasons: {sorted(filter(None, found))}"


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and return 1 when a target was missed."""
    made = parser("large_items", __doc__ or "", "60 items instead of 1,000")
    made.add_argument("--items", type=int, default=1000)
    made.add_argument("--megabytes", type=float, default=4.0)
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    made.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the processes' logs here")
    options = made.parse_args(argv)
    where = machine()
    show(where, options)
    targets = measured(options, 60 if options.quick else options.items)
    return finish({"bench": "large_items", "machine": where, "targets": targets}, options)


if __name__ == "__main__":
    sys.exit(main())
