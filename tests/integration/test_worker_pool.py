"""The workers of an embedded run: forked of one process, anew whenever one dies, all ended with it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstline.orchestrator.run.restarts import GAVE_UP, MAX_RESTARTS
from tests.integration.test_runtime import lives, wait_for

#: A pool whose workers are no workers: each does what is written in a file, knows its arguments, and has no litellm.
POOL = """
import sys
from pathlib import Path
from firstline.orchestrator.run import worker_pool

def work(arguments, *, load=None):
    print(*arguments, "loaded", load(), flush=True)
    exec(Path("work.py").read_text())

worker_pool.load = lambda: "once"
worker_pool.process.main = work
worker_pool._FORKS = FORKS
worker_pool.python = lambda module, *arguments: (sys.executable, "-c", f"print(*{arguments}, flush=True); {FOREVER!r}")
sys.exit(worker_pool.main(["--logs", ".", "--worker", "cheap,tools", "--worker", "frontier", "--record", "r.jsonl"]))
"""
FOREVER = "import time; time.sleep(600)"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start a pool in `tmp_path`, in a group of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(work: str = FOREVER, *, forks: bool = True) -> "subprocess.Popen[bytes]":
        (tmp_path / "work.py").write_text(work)
        code = POOL.replace("FORKS = FORKS", f"FORKS = {forks}").replace("{FOREVER!r}", FOREVER)
        with (tmp_path / "pool.log").open("wb") as log:
            pool = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=log, start_new_session=True)
        started.append(pool)
        return pool

    yield begin
    for pool in started:
        if pool.poll() is None:
            os.killpg(pool.pid, signal.SIGKILL)
            pool.wait()


def workers(folder: Path) -> list[tuple[str, int]]:
    lines = [line for line in (folder / "pool.log").read_text().splitlines() if line.startswith("{")]
    return [(said["worker"], said["pid"]) for said in map(json.loads, lines)]


@pytest.mark.parametrize("forks", [True, False], ids=["forked", "each loads its own"])
def test_each_worker_has_its_queues_and_its_log(start, tmp_path, forks):
    start(forks=forks)
    logs = [tmp_path / "worker-cheap.log", tmp_path / "worker-frontier.log"]
    wait_for(lambda: all(log.exists() and log.read_text().endswith("\n") for log in logs))
    told = " loaded once" if forks else ""
    assert [log.read_text() for log in logs] == [
        f"--queue cheap --queue tools --record r.jsonl{told}\n",
        f"--queue frontier --record r.jsonl{told}\n",
    ]
    assert [name for name, _ in workers(tmp_path)] == ["cheap,tools", "frontier"]


@pytest.mark.parametrize("forks", [True, False], ids=["forked", "each loads its own"])
def test_a_worker_that_is_killed_is_started_anew_and_the_other_one_left_alone(start, tmp_path, forks):
    pool = start(forks=forks)
    wait_for(lambda: len(workers(tmp_path)) == 2)
    (_, killed), (_, other) = workers(tmp_path)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: len(workers(tmp_path)) == 3)
    name, again = workers(tmp_path)[2]
    assert (name, lives(again), lives(other), pool.poll()) == ("cheap,tools", True, True, None)


@pytest.mark.parametrize("forks", [True, False], ids=["forked", "each loads its own"])
def test_all_end_with_the_pool(start, tmp_path, forks):
    pool = start(forks=forks)
    wait_for(lambda: len(workers(tmp_path)) == 2)
    os.kill(pool.pid, signal.SIGTERM)
    assert pool.wait(timeout=15) == 0
    assert not any(lives(pid) for _, pid in workers(tmp_path))


@pytest.mark.parametrize("work", ["raise ValueError('no such queue')", "raise SystemExit('no such queue')"])
def test_a_worker_that_keeps_dying_ends_the_pool_with_the_end_of_its_log(start, tmp_path, work):
    pool = start(f"import time; 'frontier' in arguments or time.sleep(600); print('no such queue'); {work}")
    assert pool.wait(timeout=30) == GAVE_UP
    said = (tmp_path / "pool.log").read_text()
    assert f"worker-frontier stopped {MAX_RESTARTS + 1} times within a minute" in said
    assert "no such queue" in said
    time.sleep(0.1)
    assert not any(lives(pid) for _, pid in workers(tmp_path))
