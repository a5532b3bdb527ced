"""The state folder of embedded runs: who holds it, where its files lie, how another terminal finds the running one."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import randrange
from typing import IO, NamedTuple

from firstline.schemas.errors import UserError

#: Seconds to wait for the children of a run that has just been killed.
_LEFTOVERS_S = 15.0


class RunningRun(NamedTuple):
    """An embedded run that holds a state folder now."""

    pid: int
    redis_url: str


class StateFolder:
    """Paths below one state folder; `hold` takes it for this process."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.shown = path
        self.logs = self.path / "logs"
        self.redis = self.path / "redis"
        self._ports = self.path / "ports.json"
        self._lock = self.path / "lock"
        self._run = self.path / "run.json"

    @contextmanager
    def hold(self) -> Iterator[IO[str]]:
        """Hold the folder until the end of the block and yield the lock file; UserError when another run holds it."""
        with self._writable():
            for folder in (self.path, self.logs, self.redis):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = self._lock.open("a+")
        with lock:
            self._acquire(lock)
            try:
                yield lock
            finally:
                self._run.unlink(missing_ok=True)

    def announce(self, redis_url: str) -> None:
        """Tell other terminals of this user where the run's Redis listens."""
        self.write_private(self._run, json.dumps({"pid": os.getpid(), "redis_url": redis_url}))

    def running(self) -> RunningRun | None:
        """Return the run that holds the folder now, or None; what a killed run has left behind is no run."""
        try:
            with self._lock.open("r") as lock:
                if _lock(lock):
                    return None
            run = RunningRun(**json.loads(self._run.read_text()))
            return run if _exists(run.pid) else None
        except (OSError, ValueError, TypeError):
            return None

    def port_of(self, service: str) -> int:
        """Return the port that a service always gets here: jobs remember its address, also those resumed much later."""
        try:
            ports: dict[str, int] = json.loads(self._ports.read_text())
        except (OSError, ValueError):
            ports = {}
        port = ports.get(service) or free_port()
        if not is_free(port):
            raise UserError(
                f"port {port}, which {service} has always had, is taken; stop the program that uses it, or remove "
                f"{self._ports} (jobs begun before cannot go on then)"
            )
        self.write_private(self._ports, json.dumps(ports | {service: port}, indent=2))
        return port

    def write_private(self, path: Path, text: str) -> None:
        """Write a file that only this user can read, whole or not at all."""
        with self._writable():
            part = path.with_name(f"{path.name}.part")
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            part.replace(path)

    def _acquire(self, lock: IO[str]) -> None:
        deadline = time.monotonic() + _LEFTOVERS_S
        while not _lock(lock):
            holder = _read_pid(lock)
            if _exists(holder) or time.monotonic() > deadline:
                raise UserError(
                    f"another firstline run (process {holder}) uses {self.shown}; wait until it ends, stop it, or set "
                    "FIRSTLINE_STATE_DIR to another folder"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"the state folder {self.shown} cannot be written ({error.strerror}); "
                "set FIRSTLINE_STATE_DIR to a folder that you may write to"
            ) from None


def free_port() -> int:
    """Return a local port that nothing listens on, below those that systems give to outgoing connections."""
    return next(filter(is_free, iter(lambda: randrange(20_000, 32_000), None)))


def is_free(port: int) -> bool:
    """Whether a local port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(file: IO[str]) -> int:
    file.seek(0)
    text = file.read().strip()
    return int(text) if text.isdigit() else 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0) if pid else None
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(pid)
