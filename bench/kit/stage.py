"""A deployment of real processes under measurement: who used how much CPU, and when what was done."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import redis

from bench.kit.instant import MARK
from firstline.orchestrator import api
from firstline.schemas.job import JobRequest, JobStatus
from firstline.schemas.tier import Tier, TierKind
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import items, request
from tests.servers import RedisServer, postgresql

#: Seconds between two looks at a job: what waiting costs is part of what is measured.
_LOOK_S = 0.05


@dataclass
class Instant(Deployment):
    """A deployment whose workers answer at once, without a provider and without HTTP."""

    def add(self, name: str, *module: str) -> None:
        """Have a module run as one of its processes; workers are those that answer at once."""
        what = ("bench.kit.instant", *module[1:]) if module[0] == "firstline.workers.process" else module
        super().add(name, *what)


@dataclass(frozen=True)
class Spent:
    """Seconds of CPU of each kind of process."""

    worker: float
    orchestrator: float
    redis: float
    producer: float

    @property
    def total(self) -> float:
        """All of them; the simulated provider is none of ours."""
        return self.worker + self.orchestrator + self.redis + self.producer

    def since(self, before: "Spent") -> "Spent":
        """Return what was spent after `before`."""
        return Spent(
            self.worker - before.worker,
            self.orchestrator - before.orchestrator,
            self.redis - before.redis,
            self.producer - before.producer,
        )


@dataclass(frozen=True)
class Run:
    """One job under measurement."""

    job: str
    items: int
    #: From the first item handed in to the end of the job; the items are written in the first part of it.
    seconds: float
    submit_s: float
    spent: Spent
    #: Share of the machine that went to processes which have nothing to do with it; the provider is not among them.
    others: float


@dataclass
class Stage:
    """A deployment, and what is asked of it."""

    deployment: Deployment
    concurrency: int
    #: A worker keeps a tier's places for as long as it lives: other numbers need another tier.
    tier: str = "cheap"
    _jobs: int = field(default=0)

    def spent(self) -> Spent:
        """Return the seconds of CPU used so far."""
        children = self.deployment.children.items()
        used = {name: _cpu_s(child.process.pid) for name, child in children if child.process is not None}
        return Spent(
            worker=sum(cpu for name, cpu in used.items() if name.startswith("worker")),
            orchestrator=sum(cpu for name, cpu in used.items() if name.startswith("orchestrator")),
            redis=_redis_cpu_s(self.deployment.redis.port),
            producer=time.process_time(),
        )

    def request(self, *, steps: int = 1, student: bool = False, **options: object) -> JobRequest:
        """Return a job that only its items tell from any other; a `student` comes first, in the same worker."""
        profile = self.deployment.profile(cheap=self.concurrency)
        cheap, *above = profile.tiers
        own = (Tier(name="own", kind=TierKind.STUDENT, queue="cheap"),) if student else ()
        profile = profile.evolve(tiers=(*own, cheap.evolve(name=self.tier, queue="cheap"), *above))
        return request(profile, steps=steps, name="bench", **options)

    def run(self, count: int, *, steps: int = 1, student: bool = False) -> Run:
        """Run one job to its end; a job that does not settle everything is no measurement."""
        self._jobs += 1
        asked, before, machine = self.request(steps=steps, student=student), self.spent(), self._others_s()
        begun = time.monotonic()
        told = items(count, of=f"bench {self._jobs}")
        job = api.submit(asked, _marked(told) if student else told)
        submit_s = time.monotonic() - begun
        self.wait(job)
        seconds, spent = time.monotonic() - begun, self.spent().since(before)
        others = (self._others_s() - machine) / (seconds * (psutil.cpu_count() or 1))
        return Run(job, count, seconds, submit_s, spent, max(0.0, others))

    def _others_s(self) -> float:
        """Return the seconds of CPU that the machine has given to all but this bench and its processes."""
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        simulator = self.deployment.children["simulator"].process
        return busy - self.spent().total - (_cpu_s(simulator.pid) if simulator is not None else 0.0)

    def wait(self, job: str, *, look_s: float = _LOOK_S) -> JobStatus:
        """Wait for a job's end."""
        *_, last = api.watch(job, poll_s=look_s)
        if last.settled != last.items:
            settled = f"{last.settled} of {last.items} items"
            raise SystemExit(f"job {job} settled {settled}: {last.state.value} {last.reason or ''}")
        return last


def _marked(told: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Give items something to tell them apart by; they come in no order, so that the first ones are like the others."""
    words = ("alpha", MARK)
    shuffled = list(told)
    Random(7).shuffle(shuffled)
    return ({**item, "text": f"{item['text']} {words[number % 2]}"} for number, item in enumerate(shuffled))


def script(latency: float | Mapping[str, object], *, models: tuple[str, ...] = ("cheap", "frontier")) -> str:
    """Return what the simulated provider plays: answers without faults, after a time."""
    told = {"kind": "constant", "seconds": latency} if isinstance(latency, float) else latency
    shown = ", ".join(f"{name}: {value}" for name, value in told.items())
    rules = "".join(f"  {model}:\n    latency: {{{shown}}}\n    answer: {{kind: from_schema}}\n" for model in models)
    return f"seed: 7\nmodels:\n{rules}"


def database_url(stack: ExitStack, folder: Path, kind: str) -> str:
    """Return a fresh database of a kind, sqlite or postgresql, that lives as long as the stack."""
    if kind == "postgresql":
        return stack.enter_context(postgresql()).new_database("bench")
    return f"sqlite:///{folder / 'firstline.db'}"


@contextmanager
def staged(
    *,
    latency: float | Mapping[str, object] = 0.0,
    concurrency: int = 64,
    workers: int = 1,
    top_workers: int = 0,
    orchestrators: int = 1,
    database: str = "sqlite",
    instant: bool = False,
    threads: int | None = None,
) -> Iterator[Stage]:
    """Start a deployment with one tier's workers, and yield it once it takes work."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-bench-")))
        url = database_url(stack, folder, database)
        make = Instant if instant else Deployment
        deployment = make(
            folder,
            url,
            script(latency),
            RedisServer(folder / "redis"),
            orchestrators=orchestrators,
            workers={"cheap": workers} | ({"frontier": top_workers} if top_workers else {}),
            env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
        )
        yield Stage(stack.enter_context(running(deployment)), concurrency)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _redis_cpu_s(port: int) -> float:
    with redis.Redis(port=port) as client:
        told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])
