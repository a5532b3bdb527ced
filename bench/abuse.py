"""Measures what one tenant's floods cost another one: its one-item job and `/health`, beside their time alone.

    python -m bench.abuse [--quick] [--json] [--only KIND]

Real processes and real HTTP. Tenant b floods from several connections at once, with a token of its own or none; tenant
a submits one-item jobs and waits for each. The memory of every process is looked at all the while, beside its limit in
docker-compose.yml. Prints {"targets": [...]} with --json.
"""

import json
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import yaml

from bench.kit.figures import at_most, finish, machine, parser, show
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.schemas.access import Role
from tests.acceptance.web_deployment import WebDeployment, web_deployment

#: Times its time alone that a job, or `/health`, may take beside a flood.
SLOWER = 3.0
#: Connections that flood at once.
CONNECTIONS = 4
COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
#: Which of our processes a service of the compose file is, by its command.
_PROCESSES = {"web": " serve ", "orchestrator": "orchestrator.service.process", "worker-cheap": "workers.process"}

Flood = Callable[[httpx.Client, int], None]


def _skill(**output: object) -> dict[str, object]:
    return {"name": "hostile", "instructions": "x", "input": {"text": {}}, "output": output}


def _workflow(skill: dict[str, object]) -> dict[str, object]:
    return {"name": "hostile", "steps": [{"name": "s", "skill": "hostile"}], "skills": [skill]}


def _bomb(depth: int) -> dict[str, object]:
    """Return a schema that doubles with each reference."""
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{depth}": {"type": "object"}}}


_SCHEMAS: tuple[dict[str, object], ...] = (
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}},
    _bomb(30),
    {"type": "object", "properties": {"a": {"enum": list(range(20_000))}}},
    {"type": "object", "properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x"}}},
)


def many_jobs(client: httpx.Client, n: int) -> None:
    """Submit jobs as fast as the token may."""
    client.post("/v1/jobs", json={"workflow": "sort_ticket", "items": [{"text": f"flood {n}"}]})


def large_jobs(client: httpx.Client, n: int) -> None:
    """Upload files of 20,000 items."""
    lines = "".join(f'{{"text": "flood {n} {line}"}}\n' for line in range(20_000))
    client.post("/v1/jobs/upload", data={"workflow": "sort_ticket"}, files={"file": ("x.jsonl", lines)})


def hostile_schemas(client: httpx.Client, n: int) -> None:
    """Bring schemas that take long to compile or to check."""
    items = [{"text": "a" * 40 + "!"}]
    client.post("/v1/jobs", json={"workflow": _workflow(_skill(**_SCHEMAS[n % len(_SCHEMAS)])), "items": items})


def deep_bodies(client: httpx.Client, n: int) -> None:
    """Send JSON that is nested, or counts, beyond reason."""
    values = ("[" * 100_000 + "]" * 100_000, "9" * 1_000_000, '{"a":' * 5_000 + "1" + "}" * 5_000)
    body = f'{{"workflow": "sort_ticket", "items": [{{"text": {values[n % len(values)]}}}]}}'
    client.post("/v1/jobs", content=body, headers={"content-type": "application/json"})


def wide_tables(client: httpx.Client, n: int) -> None:
    """Upload a table of 100,000 columns, and an array of one line of 20 MB."""
    columns = ",".join(f"c{column}" for column in range(100_000))
    table = ("x.csv", f"{columns}\n{columns}\n")
    array = ("x.json", json.dumps([{"text": "x" * 1_000} for _ in range(20_000)]))
    client.post("/v1/jobs/upload", data={"workflow": "sort_ticket"}, files={"file": (table, array)[n % 2]})


def streams(client: httpx.Client, n: int) -> None:
    """Open streams of a job and leave them open."""
    job = client.post("/v1/jobs", json={"workflow": "tricky", "items": [{"text": f"stream {n}"}]}).json().get("job")
    with suppress(httpx.HTTPError), client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        next(stream.iter_bytes(), None)
        time.sleep(1)


def chats(client: httpx.Client, n: int) -> None:
    """Wait for answers, each on a connection of its own."""
    said = [{"role": "user", "content": f"flood {n}"}]
    client.post("/v1/chat/completions", json={"model": "firstline/sort_ticket", "messages": said})


def strangers(client: httpx.Client, n: int) -> None:
    """Ask, and upload, with tokens that are none."""
    asked = {"authorization": f"Bearer fl_{n}"}
    client.get("/v1/jobs", headers=asked)
    client.post("/v1/jobs/upload", headers=asked, files={"file": ("x.csv", b"x" * 1_000_000)})


FLOODS: dict[str, Flood] = {
    flood.__name__: flood
    for flood in (many_jobs, large_jobs, hostile_schemas, deep_bodies, wide_tables, streams, chats, strangers)
}


@dataclass
class Watch:
    """The most memory that each kind of process held, in MB."""

    peak_mb: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at it for the length of the block."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        yield
        self._over.set()
        thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
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


@contextmanager
def flooding(web: WebDeployment, flood: Flood, token: str) -> Iterator[list[int]]:
    """Flood for the length of the block; yield a list that grows by one with each round of it."""
    over, rounds = threading.Event(), list[int]()

    def run(number: int) -> None:
        with web.client(token) as client:
            n = number
            while not over.is_set():
                n += CONNECTIONS
                with suppress(httpx.HTTPError):
                    flood(client, n)
                    rounds.append(n)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    yield rounds
    over.set()
    for thread in threads:
        thread.join(timeout=70)


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
        with watch.watching():
            alone = times(web, given["a"], seconds=seconds, of="alone")
            show(f"alone: job {alone[0] * 1000:.0f} ms, /health {alone[1] * 1000:.1f} ms", options)
            for name in options.only or FLOODS:
                with flooding(web, FLOODS[name], given["b"]) as rounds:
                    job_s, health_s = times(web, given["a"], seconds=seconds, of=name)
                figures[name] = {"job_s": round(job_s, 3), "health_s": round(health_s, 4), "rounds": len(rounds)}
                show(
                    f"{name}: job {job_s * 1000:.0f} ms, /health {health_s * 1000:.1f} ms, {len(rounds)} rounds",
                    options,
                )
                slower = job_s / alone[0], health_s / alone[1]
                targets += [
                    at_most(f"{name}: another tenant's job, times its time alone", slower[0], SLOWER, digits=1),
                    at_most(f"{name}: /health, times its time alone", slower[1], SLOWER, digits=1),
                ]
        strange = sum(strange_jobs(web, token, name) for name, token in given.items())
    targets.append(at_most("jobs of one tenant in another's list", strange, 0, digits=0))
    for name, limit_mb in limits_mb().items():
        targets.append(at_most(f"memory of {name} in MB, at its peak", watch.peak_mb[name], limit_mb, digits=0))
    alone_s = {"job_s": round(alone[0], 3), "health_s": round(alone[1], 4)}
    return finish({"bench": "abuse", "machine": seen, "targets": targets, "alone": alone_s, "floods": figures}, options)


if __name__ == "__main__":
    sys.exit(main())
