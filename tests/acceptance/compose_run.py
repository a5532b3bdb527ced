"""Runs the real deployment where a container engine is: 1,000 tickets by curl, scaled and killed in the middle.

    python tests/acceptance/compose_run.py [--no-build] [--keep]

builds the image, starts docker-compose.yml with the simulator as provider under a project name of its own, and goes
the newcomer's way of docs/deployment.md. Every step is checked; the exit code is 1 at the first that fails. Base images
and the like are taken from the environment (PYTHON_IMAGE, REDIS_IMAGE, POSTGRES_IMAGE, DOCKER_HOST).
"""

import argparse
import csv
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.servers import free_port  # noqa: E402 # found only after the line above when run as a script

TICKETS = ROOT / "examples" / "support_triage" / "data" / "banking77.csv"
HOW_MANY = 1000
FLOWER = "flower-try"


def compose_command() -> list[str]:
    """Return the Compose that is there: Docker's plugin, or the one from PyPI."""
    if docker := shutil.which("docker"):
        plugin = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
        if plugin.returncode == 0:
            return [docker, "compose"]
    beside = Path(sys.executable).with_name("docker-compose")
    return [str(beside) if beside.exists() else "docker-compose"]


def said(text: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


@dataclass
class Deployment:
    """One project of containers with secrets and ports of its own."""

    folder: Path
    name: str = field(default_factory=lambda: f"firstline-try-{secrets.token_hex(3)}")
    web_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)
    compose: list[str] = field(default_factory=compose_command)
    token: str = ""

    def write_env(self) -> None:
        """Write what `.env` and `.env.keys` would hold."""
        values = {
            "REDIS_PASSWORD": secrets.token_hex(16),
            "REDIS_WORKER_PASSWORD": secrets.token_hex(16),
            "REDIS_TOOLS_PASSWORD": secrets.token_hex(16),
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "FLOWER_PASSWORD": FLOWER,
            "FIRSTLINE_PROFILE": "simulated",
            "FIRSTLINE_FILES": str(ROOT / "examples" / "tickets"),
            "KEYS_FILE": str(self.folder / "keys"),
            "TOOLS_FILE": str(self.folder / "none"),
            "WEB_PORT": str(self.web_port),
            "FLOWER_PORT": str(self.flower_port),
        }
        (self.folder / "env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        (self.folder / "keys").write_text("OPENAI_API_KEY=sk-only-for-workers\n")

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a Compose command and return what it printed."""
        files = ("-f", "docker-compose.yml", "-f", "examples/tickets/simulator.yml")
        command = [*self.compose, "-p", self.name, "--env-file", str(self.folder / "env"), *files, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.run("ps", "--quiet", "--status", "running", service).split()

    def healthy(self, service: str) -> int:
        """Return how many of a service's containers run and are healthy."""
        states = [docker("inspect", "--format", "{{.State.Health.Status}}", one) for one in self.containers(service)]
        return states.count("healthy")

    def curl(self, path: str, *arguments: str) -> str:
        """Ask the API."""
        address = f"http://127.0.0.1:{self.web_port}{path}"
        head = f"Authorization: Bearer {self.token}"
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", "-H", head, *arguments, address],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def status(self, job: str) -> dict[str, Any]:
        """Return how a job stands."""
        status: dict[str, Any] = json.loads(self.curl(f"/v1/jobs/{job}"))
        return status


def docker(*arguments: str) -> str:
    """Run the engine's own client."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def until(what: str, true: Callable[[], bool], *, timeout_s: float = 240) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(0.5)
    said(what)


def expect(fact: bool, what: str) -> None:
    """End the run when a fact is not as it should be."""
    if not fact:
        raise SystemExit(f"NOT: {what}")
    said(f"ok: {what}")


@contextmanager
def running(*, build: bool, keep: bool) -> Iterator[Deployment]:
    """Start the deployment, and remove it with its volumes at the end."""
    with tempfile.TemporaryDirectory() as folder:
        here = Deployment(Path(folder))
        here.write_env()
        try:
            if build:
                here.run("build")
                said("built")
            started = time.monotonic()
            here.run("up", "--detach", "--no-build", "--wait")
            said(f"up and healthy after {time.monotonic() - started:.0f} s")
            yield here
        except BaseException:
            sys.stderr.write(here.run("ps", "--all", check=False) + here.run("logs", "--tail", "15", check=False))
            raise
        finally:
            if not keep:
                here.run("down", "--volumes", "--timeout", "5", check=False)


def check_walls(here: Deployment) -> None:
    """Look at the running containers: who they are, what they may write, which secrets they hold."""
    ids = here.run("ps", "--quiet").split()
    every = json.loads(docker("inspect", *ids))
    services = {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in every}
    expect(all(one["HostConfig"]["ReadonlyRootfs"] for one in every), "every root file system is read-only")
    expect(all(one["Config"]["User"] not in ("", "0", "root") for one in every), "nobody is root")
    with_key = {name for name, one in services.items() if any("sk-only" in line for line in one["Config"]["Env"])}
    expect(with_key == {"worker-cheap", "worker-frontier"}, "only the workers that call models hold the provider's key")
    with_password = {
        name for name, one in services.items() if any("DATABASE_URL" in line for line in one["Config"]["Env"])
    }
    expect(with_password == {"orchestrator", "web"}, "no worker and no Flower knows the database")


def make_token(here: Deployment) -> None:
    """Make a token; before it nobody outside is served."""
    outside = ["curl", "--silent", "--max-time", "3", f"http://127.0.0.1:{here.web_port}/health"]
    expect(subprocess.run(outside, check=False).returncode != 0, "without a token nobody outside is served")
    here.token = here.run("exec", "-T", "web", "firstline", "token", "create", "try", "--role", "operator").strip()
    until("the web answers", lambda: subprocess.run(outside, capture_output=True, check=False).returncode == 0)


def submit(here: Deployment) -> str:
    """Upload the tickets and return the job's id."""
    tickets = here.folder / "tickets.csv"
    tickets.write_text("".join(TICKETS.read_text("utf-8").splitlines(keepends=True)[: HOW_MANY + 1]), "utf-8")
    asked = ("-F", "workflow=intent", "-F", "budget_usd=5", "-F", f"file=@{tickets}")
    job: str = json.loads(here.curl("/v1/jobs/upload", *asked))["job"]
    said(f"job {job}")
    return job


def disturb(here: Deployment, job: str) -> None:
    """Scale the cheap workers in the middle; then kill workers, the orchestrator and Redis."""

    def settled(share: float) -> Callable[[], bool]:
        return lambda: here.status(job)["settled"] >= share * HOW_MANY

    until("a tenth is settled", settled(0.1))
    here.run("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker-cheap=4")
    until("four cheap workers, all healthy", lambda: here.healthy("worker-cheap") == 4)
    until("a quarter is settled", settled(0.25))
    for service in ("worker-cheap", "worker-frontier", "orchestrator", "redis"):
        docker("kill", here.containers(service)[0])
        said(f"killed one {service}")
        time.sleep(2)
    expect(here.status(job)["state"] == "running", "all this was in the middle of the job")
    here.run("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker-cheap=4")
    # Workers that lose Redis in the middle of an acknowledgement end, and Docker starts them again.
    every = {"redis": 1, "orchestrator": 1, "worker-cheap": 4, "worker-frontier": 1, "worker-tools": 1, "web": 1}
    until("all are healthy again", lambda: all(here.healthy(name) == wanted for name, wanted in every.items()))


def check_results(here: Deployment, job: str) -> None:
    """Download the results and compare them with the truth and with the job's own figures."""
    until("the job is done", lambda: here.status(job)["state"] == "done", timeout_s=300)
    status = here.status(job)
    lines = [json.loads(line) for line in here.curl(f"/v1/jobs/{job}/results").splitlines()]
    table = list(csv.DictReader(io.StringIO(here.curl(f"/v1/jobs/{job}/results?format=csv"))))
    expect(len(lines) == len(table) == HOW_MANY, f"{HOW_MANY} results as JSONL and as CSV")
    expect(len({line["item_id"] for line in lines}) == HOW_MANY, "every ticket once")
    expect(Counter(line["status"] for line in lines) == {"settled": HOW_MANY}, "every ticket settled")
    cost = sum(line["cost_usd"] for line in lines)
    expect(abs(cost - status["cost_usd"]) < 1e-6, f"the tickets' costs add up to the job's ({cost:.4f} dollars)")
    truth = {row["id"]: row["intent"] for row in csv.DictReader(TICKETS.open(encoding="utf-8"))}
    right = sum(line["output"]["intent"] == truth[line["item_id"]] for line in lines)
    expect(right >= 0.9 * HOW_MANY, f"{right} of {HOW_MANY} right (the cheap model alone: about 800)")
    check_paid(here, status)
    said(f"report: {json.dumps(json.loads(here.curl(f'/v1/jobs/{job}/report')))[:600]}")


def check_paid(here: Deployment, status: dict[str, Any]) -> None:
    """Compare the provider's own count of paid calls with the job's attempts."""
    ask = "import urllib.request as u; print(u.urlopen('http://simulator:9000/stats').read().decode())"
    paid = json.loads(here.run("exec", "-T", "web", "python", "-c", ask))["paid"]
    # What was under way in the killed workers, and what a killed Redis had not yet written.
    told = f"{paid} calls paid, {status['attempts']} attempts recorded"
    expect(abs(paid - status["attempts"]) <= 0.05 * HOW_MANY, told)


def check_flower(here: Deployment) -> None:
    """Look at Flower with and without its password."""
    address = f"http://127.0.0.1:{here.flower_port}/api/workers"
    ask = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"]
    expect(here_said(*ask, address) == "401", "Flower asks who is there")
    ask = ["curl", "--silent", "--user", f"firstline:{FLOWER}", f"{address}?refresh=1"]

    def seen() -> Counter[str]:
        return Counter(name.partition(".")[0] for name in json.loads(here_said(*ask)))

    wanted = Counter(cheap=4, frontier=1, tools=1, orchestrator=1)
    until("Flower sees every worker, and the orchestrator", lambda: wanted <= seen(), timeout_s=60)


def here_said(*command: str) -> str:
    """Run a command of this machine."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_stop(here: Deployment) -> None:
    """Stop everything and look whether it ended by itself, within its grace period."""
    workers = [one for name in ("worker-cheap", "worker-frontier", "orchestrator") for one in here.containers(name)]
    started = time.monotonic()
    here.run("stop")
    codes = Counter(docker("inspect", "--format", "{{.State.ExitCode}}", one) for one in workers)
    expect(set(codes) == {"0"}, f"all workers and the orchestrator ended by themselves in {_since(started)} s")


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f}"


def main() -> int:
    """Go the newcomer's way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-build", action="store_true", help="the image firstline:local is there already")
    parser.add_argument("--keep", action="store_true", help="leave the deployment standing at the end")
    options = parser.parse_args()
    os.environ.setdefault("COMPOSE_PROGRESS", "quiet")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    started = time.monotonic()
    with running(build=not options.no_build, keep=options.keep) as here:
        check_walls(here)
        make_token(here)
        job = submit(here)
        disturb(here, job)
        check_results(here, job)
        check_flower(here)
        check_stop(here)
    said(f"everything as it should be, in {_since(started)} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
