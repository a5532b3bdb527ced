"""Measures what one tenant's floods cost another one: its one-item job and `/health`, beside their time alone.

    python -m bench.abuse [--quick] [--json] [--only KIND]

Real processes and real HTTP. Tenant b floods from several connections at once, with a token of its own or none; tenant
a submits one-item jobs and waits for each. The memory of every process is looked at all the while, beside its limit in
docker-compose.yml. Prints {"targets": [...]} with --json.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import PIPE

import psutil
import yaml

from bench.floods import FLOODS
from bench.kit.figures import at_most, finish, machine, parser, show
from bench.kit.observer import observing
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from firstline.schemas.job import JobState
from tests.acceptance.web_deployment import WebDeployment, web_deployment

#: Times its time alone that a job, or `/health`, may take beside a flood.
SLOWER = 3.0
#: Connections that flood at once.
CONNECTIONS = 4
#: Cores that our processes take when nothing is going on, and seconds that are waited for that.
_RESTING, _REST_S = 0.25, 30.0
COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
#: Which of our processes a service of the compose file is, by its command.
_PROCESSES = {"web": " serve ", "orchestrator": "orchestrator.service.process", "worker-cheap": "workers.process"}


@dataclass
class Watch:
    """The most memory that each kind of process held, in MB."""

    peak_mb: dict[str, float] = field(default_factory=dict)

    def look(self, over: threading.Event) -> None:
        """Look until it is over."""
        while not over.wait(0.2):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    self._note(" ".join(process.cmdline()), process.memory_info().rss / 2**20)

    def _note(self, command: str, mb: float) -> None:
        for service, sign in _PROCESSES.items():
            if sign in command:
                self.peak_mb[service] = max(self.peak_mb.get(service, 0.0), mb)


def limits_mb() -> dict[str, float]:
    """Return the memory that each service's container has by default."""
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    return {name: _megabytes(services[name]["deploy"]["resources"]["limits"]["memory"]) for name in _PROCESSES}


def _megabytes(text: str) -> float:
    number, unit = re.findall(r"(\d+)([mg])", text)[-1]
    return float(number) * (1024 if unit == "g" else 1)


@dataclass
class Flooding:
    """What a flood has done, once it is over."""

    rounds: int = 0
    #: Seconds of CPU that its client took.
    client_cpu_s: float = 0.0


@contextmanager
def flooding(web: WebDeployment, kind: str, token: str) -> Iterator[Flooding]:
    """Flood for the length of the block, from a process of its own, whose CPU is told apart from the product's."""
    done, argv = Flooding(), (sys.executable, "-m", "bench.floods", kind, web.url, str(CONNECTIONS))
    process = subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{token}\n")
    process.stdin.flush()
    process.stdout.readline()
    try:
        yield done
    finally:
        done.rounds, done.client_cpu_s = json.loads(process.communicate()[0])


def rest() -> None:
    """End every job, and wait until what the last flood left behind is done: none of our processes has much to do."""
    running = [state for state in JobState if not state.ended]
    while left := api.jobs(500, states=running):
        for job in left:
            api.cancel(job.job)
    until = time.monotonic() + _REST_S
    while time.monotonic() < until and cpu_share() > _RESTING:
        pass


def cpu_share() -> float:
    """Return the cores that our processes took in the second from now."""
    processes = psutil.Process().children(recursive=True)
    before = sum(cpu_s(process) for process in processes)
    time.sleep(1)
    return sum(cpu_s(process) for process in processes) - before


def cpu_s(process: psutil.Process) -> float:
    """Return the seconds of CPU that a process has had; 0: it has ended."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def times(web: WebDeployment, token: str, *, seconds: float, of: str) -> tuple[float, float]:
    """Return the median seconds of a one-item job and of `/health`, asked again and again for so long."""
    jobs, healths, until = list[float](), list[float](), time.monotonic() + seconds
    with web.client(token) as client:
        while time.monotonic() < until or len(jobs) < 3:
            begun = time.perf_counter()
            body = {"workflow": "sort_ticket", "items": [{"text": f"{of} {len(jobs)}"}]}
            job = client.post("/v1/jobs", json=body).json()["job"]
            while not api.status(job).state.ended:
                time.sleep(0.01)
            jobs.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            client.get("/health").raise_for_status()
            healths.append(time.perf_counter() - begun)
    return statistics.median(jobs), statistics.median(healths)


def strange_jobs(web: WebDeployment, token: str, tenant: str) -> int:
    """Return how many jobs of another tenant a token is shown."""
    with web.client(token) as client:
        shown = client.get("/v1/jobs", params={"limit": 200}).json()["jobs"]
    with api.engine().db.reading() as tx:
        return sum(api.engine().job(tx, one["job"]).tenant != tenant for one in shown)


def main(argv: list[str] | None = None) -> int:
    """Measure; return 1 when a target was missed."""
    made = parser("abuse", __doc__ or "", "5 seconds a flood instead of 20")
    made.add_argument("--only", choices=sorted(FLOODS), action="append", help="this flood alone; may be repeated")
    options = made.parse_args(argv)
    seconds, watch = 5.0 if options.quick else 20.0, Watch()
    seen = machine()
    show(seen, options)
    targets, figures = [], {}
    quotas = {"FIRSTLINE_TENANT_JOBS": "200", "FIRSTLINE_TENANT_ITEMS": "100000", "FIRSTLINE_LOG_LEVEL": "WARNING"}
    with (
        tempfile.TemporaryDirectory(prefix="firstline-bench-") as folder,
        web_deployment(Path(folder), **quotas) as web,
    ):
        given = {name: tokens.create(api.engine().db, name=name, role=Role.SUBMITTER, tenant=name)[0] for name in "ab"}
        times(web, given["a"], seconds=2, of="warm")
        with observing(watch.look):
            for name in options.only or FLOODS:
                # The machine is not always as busy: what is alone is measured before each flood, after the last.
                rest()
                alone = times(web, given["a"], seconds=seconds / 2, of=f"before {name}")
                with flooding(web, name, given["b"]) as flood:
                    beside = times(web, given["a"], seconds=seconds, of=name)
                figures[name] = {"alone": alone, "beside": beside, **asdict(flood)}
                show(f"{name}: {_said(alone)} alone, {_said(beside)} beside {_said_of(flood)}", options)
                slower = beside[0] / alone[0], beside[1] / alone[1]
                targets += [
                    at_most(f"{name}: another tenant's job, times its time alone", slower[0], SLOWER, digits=1),
                    at_most(f"{name}: /health, times its time alone", slower[1], SLOWER, digits=1),
                ]
        strange = sum(strange_jobs(web, token, name) for name, token in given.items())
    targets.append(at_most("jobs of one tenant in another's list", strange, 0, digits=0))
    for name, limit_mb in limits_mb().items():
        targets.append(at_most(f"memory of {name} in MB, at its peak", watch.peak_mb[name], limit_mb, digits=0))
    return finish({"bench": "abuse", "machine": seen, "targets": targets, "floods": figures}, options)


def _said(took: tuple[float, float]) -> str:
    return f"job {took[0] * 1000:.0f} ms and /health {took[1] * 1000:.1f} ms"


def _said_of(flood: Flooding) -> str:
    return f"{flood.rounds} rounds that took {flood.client_cpu_s:.1f} s of CPU to send"


if __name__ == "__main__":
    sys.exit(main())
