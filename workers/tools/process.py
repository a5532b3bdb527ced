"""A child process that cannot outlive its time, outgrow its number of processes, or flood its parent."""

import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

_POLL_S = 0.1
_CHUNK = 65_536
#: How long a dead child's pipes are read on while something that it left behind still holds them open.
_DRAIN_S = 0.5


@dataclass(slots=True)
class Capture:
    """The beginning of a stream; the rest is read and thrown away."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    truncated: bool = False

    def add(self, chunk: bytes) -> None:
        """Keep what fits."""
        room = self.limit - len(self.kept)
        self.kept += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room

    @property
    def text(self) -> str:
        """What was kept, as text."""
        return self.kept.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may use: wall time, descendants, and how much of its output is kept."""

    timeout_s: float
    processes: int
    stdout_bytes: int
    stderr_bytes: int


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How a child ended; `stopped` says why when we ended it."""

    exit_code: int | None
    stdout: Capture
    stderr: Capture
    stopped: str | None


def run(
    command: Sequence[str],
    bounds: Bounds,
    *,
    env: Mapping[str, str],
    given: bytes = b"",
    cwd: Path | None = None,
    stop: threading.Event | None = None,
) -> ChildResult:
    """Run a command in a session of its own with `given` on its standard input, and leave nothing of it alive.

    It is killed with all its descendants at a bound of time or processes, or when another thread sets `stop`.
    OSError when it cannot be started.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        child = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    captures = Capture(bounds.stdout_bytes), Capture(bounds.stderr_bytes)
    with child:
        try:
            stopped = _watch(child, captures, bounds, stop)
        finally:
            _kill(child)
    return ChildResult(child.returncode if stopped is None else None, *captures, stopped)


def _watch(
    child: "subprocess.Popen[bytes]", captures: tuple[Capture, Capture], bounds: Bounds, stop: threading.Event | None
) -> str | None:
    """Read until the child is done; the reason when it has to be stopped."""
    deadline = time.monotonic() + bounds.timeout_s
    drained_by: float | None = None
    with selectors.DefaultSelector() as selector:
        for pipe, capture in zip((child.stdout, child.stderr), captures, strict=True):
            selector.register(_piped(pipe), selectors.EVENT_READ, capture)
        checked = 0.0
        while selector.get_map() or child.poll() is None:
            now = time.monotonic()
            if now > deadline:
                return f"it took longer than {bounds.timeout_s:g} s"
            if stop is not None and stop.is_set():
                return "nobody waits for its answer any more"
            if child.poll() is not None:
                drained_by = drained_by or now + _DRAIN_S
                if now > drained_by:
                    return None
            elif now - checked > _POLL_S:
                checked = now
                if (count := _count(child.pid)) > bounds.processes:
                    return f"it started {count} processes, more than {bounds.processes}"
            _read(selector, min(_POLL_S, deadline - now))
    return None


def _read(selector: selectors.BaseSelector, wait_s: float) -> None:
    if not selector.get_map():
        time.sleep(min(wait_s, 0.01))
    for key, _ in selector.select(wait_s) if selector.get_map() else ():
        chunk = os.read(key.fd, _CHUNK)
        if chunk:
            key.data.add(chunk)
        else:
            selector.unregister(key.fileobj)


def _piped(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("the child was started without a pipe")
    return pipe


def _count(pid: int) -> int:
    try:
        return len(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return 0


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Kill the child's process group and every descendant that has left it."""
    descendants: list[psutil.Process] = []
    with suppress(psutil.Error):
        descendants = psutil.Process(child.pid).children(recursive=True)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for process in descendants:
        with suppress(psutil.Error):
            process.kill()
