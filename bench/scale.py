"""Measures how a deployment grows: ten times the items in how much time and memory, and a small job beside a large one.

    python -m bench.scale [--quick] [--json] [--database sqlite|postgresql] [--redis BINARY]

Real processes, as in `bench.chaos`; the provider is simulated and answers at once, so that it is never in the way.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench.kit.stage import database_url
from firstline.orchestrator import api
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import items, request, script
from tests.servers import RedisServer

#: Limits of the issue's figures.
ORCHESTRATOR_MB, REDIS_MB = 300.0, 64.0
GROWTH, SLOWDOWN = 11.0, 2.0
#: A small job is asked so often, alone and beside the large one.
ASKED = 5


@dataclass
class Peaks:
    """The most memory that was seen, sampled twice a second while the block runs."""

    deployment: Deployment
    orchestrator_mb: float = 0.0
    redis_mb: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample for the length of the block."""
        sampler = threading.Thread(target=self._sample)
        sampler.start()
        try:
            yield
        finally:
            self._over.set()
            sampler.join()

    def _sample(self) -> None:
        client = redis.Redis(port=self.deployment.redis.port)
        orchestrators = [child for name, child in self.deployment.children.items() if name.startswith("orchestrator")]
        while not self._over.wait(0.5):
            self.orchestrator_mb = max(self.orchestrator_mb, *(child.rss_mb for child in orchestrators))
            self.redis_mb = max(self.redis_mb, float(client.info("memory")["used_memory"]) / 2**20)


def timed(deployment: Deployment, count: int, *, steps: int, of: str) -> float:
    """Run a job and return its seconds from the first item handed in to its end."""
    begun = time.monotonic()
    job = submit(deployment, count, steps=steps, of=of)
    wait(job)
    return time.monotonic() - begun


def submit(deployment: Deployment, count: int, *, steps: int, of: str) -> str:
    """Submit a job that no other one shares a prompt with."""
    return api.submit(request(deployment.profile(), steps=steps, name="scale"), items(count, of=of))


def wait(job: str) -> None:
    """Wait for a job's end; a job that does not settle everything is no measurement."""
    for status in api.watch(job, poll_s=0.05):
        last = status
    if last.settled != last.items:
        raise SystemExit(
            f"job {job} settled {last.settled} of {last.items} items: {last.state.value} {last.reason or ''}"
        )


def growth(deployment: Deployment, small: int, peaks: Peaks) -> tuple[float, float]:
    """Return the seconds of a job and of one ten times as large, after one that warms everything up."""
    timed(deployment, 50, steps=1, of="warm")
    with peaks.watched():
        return timed(deployment, small, steps=1, of="small"), timed(deployment, 10 * small, steps=1, of="large")


def beside(deployment: Deployment, large: int) -> tuple[float, float]:
    """Return the median seconds of a one-item job alone, and in the middle of a large one."""
    alone = statistics.median(timed(deployment, 1, steps=3, of=f"alone {n}") for n in range(ASKED))
    job = submit(deployment, large, steps=3, of="beside")
    while api.status(job).settled < large / 20:
        time.sleep(0.2)
    amid = statistics.median(timed(deployment, 1, steps=3, of=f"amid {n}") for n in range(ASKED))
    api.cancel(job)
    return alone, amid


@contextmanager
def deployed(options: argparse.Namespace, latency_s: float) -> Iterator[Deployment]:
    """Run a deployment of the kind that the options ask for."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-scale-")))
        url = database_url(stack, folder, options.database)
        server = RedisServer(folder / "redis", **({"binary": options.redis} if options.redis else {}))
        env = {"FIRSTLINE_LOG_LEVEL": "WARNING"}
        yield stack.enter_context(running(Deployment(folder, url, script(latency_s), server, env=env)))


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="400 and 4,000 items instead of 10,000 and 100,000")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--redis", help="another server's binary, such as Debian's /usr/bin/redis-server")
    options = parser.parse_args(argv)
    small, large = (400, 2000) if options.quick else (10_000, 20_000)
    with deployed(options, 0.0) as deployment:
        peaks = Peaks(deployment)
        few_s, many_s = growth(deployment, small, peaks)
    with deployed(options, 0.2) as deployment:
        alone_s, amid_s = beside(deployment, large)
    found = [
        _target(f"time of {10 * small:,} items over {small:,}", many_s / few_s, GROWTH),
        _target("largest orchestrator, MB", peaks.orchestrator_mb, ORCHESTRATOR_MB),
        _target("Redis, MB", peaks.redis_mb, REDIS_MB),
        _target(f"one item amid {large:,} over alone", amid_s / alone_s, SLOWDOWN),
    ]
    figures = {"items_per_s": round(10 * small / many_s, 1), "alone_s": round(alone_s, 2), "amid_s": round(amid_s, 2)}
    if options.json:
        print(json.dumps({"bench": "scale", "database": options.database, "targets": found, **figures}, indent=2))
    else:
        for one in found:
            print(f"{'ok' if one['met'] else 'NO':3} {one['name']}: {one['value']} ({one['target']})")
        print(figures)
    return 0 if all(one["met"] for one in found) else 1


def _target(name: str, value: float, limit: float) -> dict[str, object]:
    return {"name": name, "value": round(value, 2), "target": f"<= {limit:g}", "met": value <= limit}


if __name__ == "__main__":
    sys.exit(main())
