"""Embedded runs with real child processes and a real Valkey: started, watched, started again, and always stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import redis

from firstline.config.settings import get_settings, load_settings
from firstline.orchestrator.run import embedded as runtime
from firstline.orchestrator.run.child_processes import Part, Parts
from firstline.orchestrator.run.embedded import embedded, running_redis
from firstline.orchestrator.run.restarts import MAX_RESTARTS
from firstline.orchestrator.run.state_folder import StateFolder, free_port
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.tier import Model, Profile, Service, Tier

FOREVER = "import time; time.sleep(600)"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> StateFolder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTLINE_REDIS_URL", raising=False)
    monkeypatch.setenv("FIRSTLINE_STATE_DIR", str(tmp_path / "state"))
    get_settings.cache_clear()
    yield StateFolder(tmp_path / "state")
    get_settings.cache_clear()


@pytest.fixture
def parts(folder):
    """Parts in a held folder; stopped at the end. `failures` counts how often they gave up."""
    failures: list[bool] = []
    with folder.hold() as lock:
        made = Parts(lock, on_failure=lambda: failures.append(True))
        made.failures = failures
        yield made
        made.stop(grace_s=5)


def part(folder: StateFolder, name: str, code: str, **changes) -> Part:
    return Part(name, (sys.executable, "-c", code), folder.logs / f"{name}.log", os.environ, **changes)


def wait_for(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def lives(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_a_part_that_dies_is_started_again(parts, folder):
    parts.start([part(folder, "one", f"import os; print(os.getpid(), flush=True); {FOREVER}")])
    log = folder.logs / "one.log"
    wait_for(lambda: len(pids(log)) == 1)
    os.kill(pids(log)[0], signal.SIGKILL)
    wait_for(lambda: len(pids(log)) == 2)
    parts.check()
    assert lives(pids(log)[1])


def test_a_part_that_keeps_dying_is_given_up_with_the_end_of_its_log(parts, folder):
    parts.start([part(folder, "bad", "raise SystemExit('no such model')")])
    wait_for(lambda: bool(parts.failures))
    with pytest.raises(InfrastructureError, match=f"bad stopped {MAX_RESTARTS + 1} times within a minute") as caught:
        parts.check()
    assert "no such model" in str(caught.value)


def test_waiting_for_a_part_ends_when_it_says_that_it_is_ready(parts, folder):
    code = "import time; print('loading', flush=True); time.sleep(.3); print('{\"ready\": true}', flush=True); "
    parts.start([part(folder, "server", code + FOREVER, says_ready=True)])
    parts.wait_ready("server", timeout_s=10)


def test_waiting_for_a_part_that_cannot_start_shows_why(parts, folder):
    parts.start([part(folder, "server", "raise SystemExit('port 80 is taken')", says_ready=True)])
    with pytest.raises(InfrastructureError, match=r"server did not start: .*\n.*port 80 is taken"):
        parts.wait_ready("server", timeout_s=10)


def test_stopping_takes_grandchildren_along_and_those_who_do_not_listen(folder):
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    # One write each: what `print` writes in two would mix on the line of the other.
    family = f"import os; os.fork(); os.write(1, b'%d\\n' % os.getpid()); {stubborn}{FOREVER}"
    with folder.hold() as lock:
        made = Parts(lock, on_failure=lambda: None)
        made.start([part(folder, "family", family)])
        wait_for(lambda: len(pids(folder.logs / "family.log")) == 2)
        made.stop(grace_s=0.5)
    wait_for(lambda: not any(lives(pid) for pid in pids(folder.logs / "family.log")))


NEEDY = """
import signal, sys, time
from pathlib import Path
def stop(*_):
    time.sleep(0.5)  # what it is at takes a while, and needs the other one
    Path("needed").write_text(str(Path("served").exists()))
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep(600)
"""
NEEDED = """
import signal, sys, time
from pathlib import Path
def stop(*_):
    Path("served").unlink()
    sys.exit()
Path("served").touch()
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
time.sleep(600)
"""


def test_what_others_need_is_there_until_they_have_ended(folder):
    with folder.hold() as lock:
        made = Parts(lock, on_failure=lambda: None)
        made.start([part(folder, "needed", NEEDED, is_needed=True), part(folder, "needy", NEEDY)])
        for name in ("needed", "needy"):
            wait_for(lambda name=name: "up" in (folder.logs / f"{name}.log").read_text())
        made.stop(grace_s=10)
    assert (Path("needed").read_text(), Path("served").exists()) == ("True", False)


RUN = """
import os, sys, time
from pathlib import Path
from firstline.orchestrator.run.child_processes import Part, Parts
from firstline.orchestrator.run.state_folder import StateFolder
folder = StateFolder(Path(os.environ["FIRSTLINE_STATE_DIR"]))
with folder.hold() as lock:
    parts = Parts(lock, on_failure=lambda: None)
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    parts.start([Part("child", (sys.executable, "-c", code), folder.logs / "child.log", os.environ)])
    time.sleep(600)
"""


def test_children_end_with_a_run_that_is_killed_and_the_folder_is_free_only_then(folder):
    run = subprocess.Popen([sys.executable, "-c", RUN])
    wait_for(lambda: bool(pids(folder.logs / "child.log")))
    (child,) = pids(folder.logs / "child.log")
    with (
        pytest.raises(UserError, match=rf"another firstline run \(process {run.pid}\) uses .*; wait until it ends"),
        folder.hold(),
    ):
        pass
    run.kill()
    run.wait()
    with folder.hold():
        assert not lives(child)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path, place):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot be written .*; set FIRSTLINE_STATE_DIR"),
        StateFolder(tmp_path / place).hold(),
    ):
        pass


def test_a_read_only_state_folder_is_a_sentence(folder, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"cannot be written \(Read-only file system\)"), folder.hold():
        pass


def test_a_service_keeps_its_port_and_says_when_another_program_took_it(folder):
    with folder.hold():
        port = folder.port_of("simulator one (a.yaml)")
        assert folder.port_of("simulator one (a.yaml)") == port
        with socket.socket() as thief:
            thief.bind(("127.0.0.1", port))
            thief.listen()
            with pytest.raises(UserError, match=f"port {port}, which simulator one .* is taken; stop the program"):
                folder.port_of("simulator one (a.yaml)")


def profile(script: Path) -> Profile:
    model = Model(name="openai/small", api_base="service:sim")
    return Profile(
        name="p",
        tiers=(Tier(name="cheap", models=(model,)),),
        services=(Service(name="sim", kind="simulator", source=str(script)),),
    )


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text("models: {'*': {answer: {kind: fixed, text: hello}}}\n")
    return path


@pytest.fixture
def bare(monkeypatch):
    """Embedded runs of Redis and services alone: neither workers nor a database."""
    monkeypatch.setattr(runtime, "_processes", lambda *_: [])
    monkeypatch.setattr(runtime, "set_aside", lambda **_: None)


def test_an_embedded_run_has_a_private_redis_and_its_services(folder, script, bare):
    with embedded(profile(script), load_settings()) as running:
        url = get_settings().redis_url
        assert redis.Redis.from_url(url).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=redis.Redis.from_url(url).connection_pool.connection_kwargs["port"]).ping()
        base = running.profile.tiers[0].models[0].api_base
        question = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
        answer = httpx.post(f"{base}/chat/completions", json=question).json()
        assert answer["choices"][0]["message"]["content"] == "hello"
        assert running_redis(load_settings().model_copy(update={"redis_url": None})) == url
    assert get_settings().redis_url is None
    assert running_redis(load_settings()) is None
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(url).ping()


def test_what_redis_held_is_there_again_after_it_was_killed(folder, script, bare):
    with embedded(profile(script), load_settings()):
        url = get_settings().redis_url
        client = redis.Redis.from_url(url)
        client.rpush("queue", "one", "two")
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
        wait_for(lambda: _answers(url))
        assert client.lrange("queue", 0, -1) == [b"one", b"two"]


def _answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url).ping())
    except redis.RedisError:
        return False


def test_sigterm_ends_a_run_as_ctrl_c_does(folder, script, bare):
    urls = []

    def run_until_told() -> None:
        with embedded(profile(script), load_settings()):
            urls.append(get_settings().redis_url)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt) as caught:
        run_until_told()
    assert caught.value.exit_code == 143
    assert not _answers(urls[0])


def test_ports_that_are_given_out_are_below_those_of_outgoing_connections():
    assert all(20_000 <= free_port() < 32_000 for _ in range(20))
