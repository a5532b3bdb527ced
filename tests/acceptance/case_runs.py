"""Plays a case of `tests/data/cases` as its user would: `firstline run job.yaml`, on processes that run already."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from firstline.workers.simulator.running import running as simulating
from firstline.workers.simulator.script import load_script
from tests.acceptance.commands import typed
from tests.acceptance.played_replies import PORTS, Reply, playing, plays
from tests.acceptance.processes import Deployment, running
from tests.servers import RedisServer

CASES = Path(__file__).parents[1] / "data" / "cases"
NAMESPACE = "cases"
_ALL_TIERS = "cheap,mid,overnight,frontier"


@dataclass
class BoundRedis(RedisServer):
    """A Redis whose user `bound` may touch nothing but the keys and channels of one namespace."""

    def start(self) -> None:
        super().start()
        rules = [f"{sign}{NAMESPACE}{mark}*" for sign in "~&" for mark in ":."]
        self._admin.execute_command("ACL", "SETUSER", "bound", "on", ">word", "resetkeys", *rules, "+@all")

    @property
    def url(self) -> str:
        return f"redis://bound:word@127.0.0.1:{self.port}/0"

    @property
    def refused(self) -> list[dict[str, Any]]:
        """What it refused that user."""
        return list(self._admin.execute_command("ACL", "LOG"))

    @property
    def _admin(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True)


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    code: int
    told: str
    lines: list[dict[str, Any]]
    expected: list[dict[str, Any]] = field(default_factory=list)
    #: Requests and replies, where a play answered.
    log: list[tuple[dict[str, Any], Reply]] = field(default_factory=list)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        return {line["item_id"]: line for line in self.lines}

    @property
    def report(self) -> dict[str, Any]:
        """The report that `--json` prints last."""
        return dict(json.loads(self.told[self.told.index("{\n") :]))

    @property
    def statuses(self) -> list[int]:
        return [reply.get("status", 200) for _, reply in self.log]


@contextmanager
def deployed(folder: Path, database_url: str) -> Iterator[Deployment]:
    """Run an orchestrator and one worker for all tiers on a Redis that is bound to a namespace."""
    env = {"FIRSTLINE_NAMESPACE": NAMESPACE, "ANTHROPIC_API_KEY": "x", "OPENAI_API_KEY": "x"}
    made = Deployment(
        folder, database_url, "", BoundRedis(folder / "redis"), orchestrators=1, workers={_ALL_TIERS: 1}, env=env
    )
    before = {name: os.environ.get(name) for name in env}
    with running(made) as deployment:
        yield deployment
    assert {name: os.environ.get(name) for name in env} == before


def prepare(name: str, folder: Path, url: str) -> Path:
    """Copy a case into a folder, its models at a server of ours and its skill unlike that of any other run."""
    shutil.copytree(CASES / name, folder, dirs_exist_ok=True)
    for tier in (folder / "tiers").iterdir():
        text = re.sub(r"http://127\.0\.0\.1:\d+", url, tier.read_text("utf-8"))
        text = text.replace("service:simulator", f"{url}/v1")
        tier.write_text(re.sub(r"services:\n(?:  .*\n)+", "", text), "utf-8")
    for skill in (folder / "skills").iterdir():
        # What a tier comes to with a skill is measured across jobs.
        text = skill.read_text("utf-8")
        skill.write_text(text.replace("Test of a class of faults.", f"{name} {secrets.token_hex(4)}"), "utf-8")
    job = (folder / "job.yaml").read_text("utf-8")
    (folder / "job.yaml").write_text(re.sub(r"script:.*\n", "", job), "utf-8")
    return folder


def run_case(
    name: str,
    folder: Path,
    *arguments: str,
    answer: Callable[[dict[str, Any]], Reply] | None = None,
    server: str | None = None,
    change: Callable[[Path], object] = lambda folder: None,
) -> Ran:
    """Run a case to its end with its own script or plays, with what answers, or with a server that runs already.

    `change` has the last word on the copy of the case in `folder`.
    """
    case = CASES / name
    with ExitStack() as stack:
        log: list[tuple[dict[str, Any], Reply]] = []
        if server is not None:
            url = server
        elif (case / "script.yaml").exists() and answer is None:
            url = stack.enter_context(simulating(load_script(case / "script.yaml")))
            PORTS.add(int(url.rpartition(":")[2]))
        else:
            listed = case / "plays.json"
            played = answer or plays(json.loads(listed.read_text("utf-8")))
            base, log = stack.enter_context(playing(played))
            url = base.removesuffix("/v1")
        change(prepare(name, folder, url))
        done = typed(folder, "run", "job.yaml", "--out", "results.jsonl", "--json", *arguments)
    return Ran(done.code, done.told, lines_of(folder / "results.jsonl"), lines_of(case / "expected.jsonl"), log)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSONL file, none where there is no file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line] if path.exists() else []
