"""Rolls a deployment from an earlier commit to this tree in the middle of a job, workers first and orchestrators first.

    python -m bench.rolling [--quick] [--json] [--from COMMIT] [--database sqlite|postgresql]

The commit (the one before HEAD unless another one is named) is taken out of the history into a folder of its own, and a
deployment runs its code alone. In the middle of a job the schema is brought to this tree's, and half of the processes
get this tree's code; when they have settled a good part of the job together with the old ones, the others get it, too.
Prints {"targets": [...]} with --json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

from bench.kit.figures import Target, at_least, at_most, finish, machine, parser, show
from bench.kit.stage import database_url
from tests.acceptance.processes import Deployment, running
from tests.acceptance.workload import Findings, check, script
from tests.servers import Missing, RedisServer

ROOT = Path(__file__).resolve().parents[1]
#: What is rolled from unless something else is named; a copy of the tree without its history lacks it.
BEFORE = "HEAD^"
STEPS, LATENCY_S = 2, 0.5
#: Shares of the items that settle before the first half of the processes changes, and before the second one does.
FIRST, TOGETHER = 0.15, 0.4
#: Which processes change first.
WAYS = {"workers first": ("worker", "orchestrator"), "orchestrators first": ("orchestrator", "worker")}
_PATIENCE_S = 300
#: Run by the old code: the job's request is the old code's own.
_SUBMIT = """
import json, sys
from firstline.orchestrator import api
from firstline.schemas.tier import Profile
from tests.acceptance.workload import items, request
profile, steps, count = Profile.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
print(api.submit(request(profile, steps=steps, name="rolling"), items(count, of="rolling")))
"""


@dataclass(frozen=True)
class Rolled:
    """One job through one roll-out."""

    findings: Findings
    #: Items that settled while old and new processes worked with each other.
    between: int
    seconds: float


@contextmanager
def earlier(commit: str) -> Iterator[dict[str, str]]:
    """Take a commit out of the history; yield the environment that runs its code. Missing where there is no history."""
    with tempfile.TemporaryDirectory(prefix="firstline-earlier-") as folder:
        with tempfile.TemporaryFile() as packed:
            try:
                subprocess.run(["git", "archive", commit], cwd=ROOT, stdout=packed, stderr=subprocess.PIPE, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", None) or str(error).encode()
                raise Missing(f"the commit {commit}: {said.decode(errors='replace').strip()}") from None
            packed.seek(0)
            subprocess.run(["tar", "-x", "-C", folder], stdin=packed, check=True)
        yield {"PYTHONPATH": os.pathsep.join((f"{folder}/src", folder))}


@contextmanager
def deployed(options: argparse.Namespace, code: dict[str, str]) -> Iterator[Deployment]:
    """Run a deployment whose processes all have this code, on a database of its version."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstline-rolling-")))
        url = database_url(stack, folder, options.database)
        deployment = Deployment(
            folder,
            url,
            script(LATENCY_S),
            RedisServer(folder / "redis"),
            orchestrators=1,
            workers={"cheap,frontier": 1},
            env={"FIRSTLINE_LOG_LEVEL": "WARNING"},
            given={"worker": code, "orchestrator": code},
        )
        yield stack.enter_context(running(deployment))


def roll(deployment: Deployment, code: dict[str, str], order: tuple[str, str], count: int) -> Rolled:
    """Roll it in the middle of a job of so many items, and look at what became of the job."""
    begun = time.monotonic()
    profile = deployment.profile(cheap=16, frontier=8)
    told = _run(deployment, code, "-c", _SUBMIT, profile.model_dump_json(), str(STEPS), str(count))
    job = told.split()[-1]
    new = {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    _wait(deployment, FIRST * count)
    _run(deployment, new, "-m", "firstline.orchestrator.cli", "migrate")
    _change(deployment, order[0], new)
    before = _settled(deployment)
    _wait(deployment, before + TOGETHER * count)
    between = _settled(deployment) - before
    _change(deployment, order[1], new)
    _wait(deployment, count)
    time.sleep(1)
    found = check(deployment.database_url, job, deployment.paid(), steps=STEPS, profile=profile)
    return Rolled(found, between, time.monotonic() - begun)


def _run(deployment: Deployment, code: dict[str, str], *command: str) -> str:
    env = {**os.environ, **deployment.settings, **code}
    folder = code["PYTHONPATH"].rpartition(os.pathsep)[2]
    done = subprocess.run([sys.executable, *command], env=env, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def _change(deployment: Deployment, kind: str, code: dict[str, str]) -> None:
    """Give processes of a kind other code; return when the old ones are gone."""
    old = [child.process for name, child in deployment.children.items() if name.startswith(kind)]
    deployment.change(kind, code)
    for process in old:
        if process is not None:
            process.wait(timeout=60)


def _settled(deployment: Deployment) -> int:
    """Ask the database itself: whoever asks by the code's own way brings the schema to its version."""
    engine = create_engine(deployment.database_url)
    with engine.connect() as connection:
        settled = int(connection.scalar(text("SELECT count(*) FROM item WHERE state = 'settled'")) or 0)
    engine.dispose()
    return settled


def _wait(deployment: Deployment, settled: float) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (now := _settled(deployment)) < settled:
        if time.monotonic() > deadline:
            raise SystemExit(f"{now} items settled within {_PATIENCE_S} s, {settled:.0f} were awaited")
        time.sleep(0.1)


def targets(way: str, rolled: Rolled, count: int) -> list[Target]:
    """Return what may not be: a stopped worker lets its calls end, so that no call is paid twice."""
    found = rolled.findings
    wrong = found.lost + found.settled_twice + found.unsettled_steps
    return [
        at_most(f"{way}: items lost, settled twice or without a step", wrong, 0, digits=0),
        at_most(f"{way}: dollars off", found.off_usd, 1e-6, digits=6),
        at_most(f"{way}: calls paid twice", found.paid_twice, 0, digits=0),
        at_least(f"{way}: items settled by old and new together", rolled.between, TOGETHER * count, digits=0),
    ]


def measure(options: argparse.Namespace) -> list[Target]:
    """Roll both ways; every way has a deployment of its own, as the first one ends on the new code."""
    count = 300 if options.quick else 1000
    found: list[Target] = []
    with earlier(options.commit) as code:
        for way, order in WAYS.items():
            with deployed(options, code) as deployment:
                rolled = roll(deployment, code, order, count)
            show(
                f"{way}: {rolled.findings.items} items in {rolled.seconds:.0f} s, {rolled.between} of them settled by "
                f"old and new processes together, {rolled.findings.paid} calls paid",
                options,
            )
            found += targets(way, rolled, count)
    return found


def main(argv: list[str] | None = None) -> int:
    """Roll; return 1 when a target was missed."""
    made = parser("rolling", __doc__ or "", "jobs of 300 items instead of 1,000")
    made.add_argument("--from", dest="commit", default=BEFORE, help=f"what is rolled from (default: {BEFORE})")
    made.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    options = made.parse_args(argv)
    seen = machine()
    show(seen, options)
    try:
        found = measure(options)
    except Missing as missing:
        if options.commit != BEFORE:
            made.error(str(missing))
        found = [{"name": "rolling", "value": str(missing), "target": "nothing lost", "met": None}]
    return finish({"bench": "rolling", "machine": seen, "targets": found}, options)


if __name__ == "__main__":
    sys.exit(main())
