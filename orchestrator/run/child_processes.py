"""The child processes of an embedded run: started, watched, started again when they die, stopped as whole groups."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO

from firstline.orchestrator.run.process_guard import group_exists, stop_groups
from firstline.orchestrator.run.restarts import Restarts, last_lines, too_often
from firstline.schemas.errors import InfrastructureError

_POLL_S = 0.1


@dataclass(frozen=True)
class Part:
    """What to run: a command, its log, its environment."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    #: It prints `{"ready": true, ...}` once it can be used.
    says_ready: bool = False
    #: Other parts need it until they have ended.
    is_needed: bool = False
    #: Its exit code when nothing is gained by starting it again: what it printed last says why.
    gives_up: int | None = None


@dataclass
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    #: Where this start's output begins in the log.
    log_start: int
    restarts: Restarts = field(default_factory=Restarts)


def python(module: str, *args: str) -> tuple[str, ...]:
    """Return a command that runs one of our modules; a folder of the user's never hides it (`-P`)."""
    return (sys.executable, "-P", "-m", module, *args)


class Parts:
    """A set of parts: what has been started here is stopped here."""

    def __init__(self, lock: IO[str], *, on_failure: Callable[[], None]) -> None:
        self._running: list[_Running] = []
        self._mutex = Lock()
        self._stopping = Event()
        self._failure: str | None = None
        self._on_failure = on_failure
        # In a session of its own, as all parts are: Ctrl-C in the terminal is for the run alone, which then stops them.
        self._guard = subprocess.Popen(
            python("firstline.orchestrator.run.process_guard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        self._watcher = Thread(target=self._watch, name="parts", daemon=True)
        self._watcher.start()

    def start(self, parts: Sequence[Part]) -> None:
        """Start parts, all at once."""
        with self._mutex:
            self._running += [self._launch(part) for part in parts]

    def wait_ready(self, name: str, *, timeout_s: float) -> None:
        """Wait until a part has said that it is ready; InfrastructureError when it dies or does not."""
        running = next(one for one in self._running if one.part.name == name)
        deadline = time.monotonic() + timeout_s
        while not _said_ready(running):
            if running.process.poll() is not None:
                raise InfrastructureError(f"{name} did not start: {last_lines(running.part.log, running.log_start)}")
            if time.monotonic() > deadline:
                raise InfrastructureError(f"{name} was not ready after {timeout_s:.0f} s; see {running.part.log}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Raise InfrastructureError when a part has died too often to be started again."""
        if self._failure:
            raise InfrastructureError(self._failure)

    def stop(self, *, grace_s: float) -> None:
        """Stop everything: first what works, then what it may need until it has ended."""
        self._stopping.set()
        self._watcher.join()
        groups = {one.process.pid: one for one in self._running}
        needed = [pid for pid, one in groups.items() if one.part.is_needed]
        try:
            for batch in ([pid for pid in groups if pid not in needed], needed):
                stop_groups(batch, grace_s=grace_s, alive=lambda pid: _group_lives(groups[pid]))
        finally:
            self._end(groups)

    def _end(self, groups: Mapping[int, _Running]) -> None:
        for pid, one in groups.items():
            if one.process.poll() is None:
                stop_groups([pid], grace_s=0)
                one.process.wait()
        if self._guard.stdin:
            self._guard.stdin.close()
        self._guard.wait()

    def _launch(self, part: Part) -> _Running:
        with part.log.open("ab") as log:
            start = log.tell()
            process = subprocess.Popen(
                part.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(part.env),
                start_new_session=True,
            )
        self._tell_guard("+", process.pid)
        return _Running(part, process, start)

    def _tell_guard(self, sign: str, group: int) -> None:
        if self._guard.stdin and self._guard.poll() is None:
            self._guard.stdin.write(f"{sign}{group}\n".encode())
            self._guard.stdin.flush()

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_S):
            with self._mutex:
                self._running = [self._revived(one) for one in self._running]

    def _revived(self, one: _Running) -> _Running:
        """Return a part as it is, or started again when it has died."""
        if self._failure or one.process.poll() is None:
            return one
        if (failure := _failure(one)) is not None:
            self._failure = failure
            self._on_failure()
            return one
        stop_groups([one.process.pid], grace_s=0)
        self._tell_guard("-", one.process.pid)
        again = self._launch(one.part)
        again.restarts = one.restarts
        return again


def _group_lives(one: _Running) -> bool:
    """Whether anything of the part's group is left; reaps its leader, so that no zombie counts."""
    return one.process.poll() is None or group_exists(one.process.pid)


def _said_ready(one: _Running) -> bool:
    with one.part.log.open("rb") as log:
        log.seek(one.log_start)
        return any(_is_ready(line) for line in log if line.startswith(b"{"))


def _is_ready(line: bytes) -> bool:
    try:
        return json.loads(line).get("ready") is True
    except ValueError:
        return False


def _failure(one: _Running) -> str | None:
    """Return why a part that has died is not started again; None: it is."""
    log = one.part.log
    if one.part.gives_up is not None and one.process.returncode == one.part.gives_up:
        return last_lines(log, one.log_start)
    return None if one.restarts.one_more() else too_often(one.part.name, log, one.log_start)
