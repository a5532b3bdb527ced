"""The workers of an embedded run: litellm, which takes seconds to load, is loaded once, and each worker forked of that.

A worker that dies is forked anew. For each stands a line of JSON on the output: `{"worker": "cheap", "pid": 71}`.
"""

import firstline.config.queues.startup  # noqa: F401 # before all others, see there

# isort: split

import argparse
import gc
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from firstline.orchestrator.run.child_processes import python
from firstline.orchestrator.run.restarts import GAVE_UP, Restarts, too_often
from firstline.workers import process
from firstline.workers.providers.litellm_gateway import LitellmGateway, load

#: Elsewhere a process that has loaded much cannot be forked safely: each worker loads its own.
_FORKS = sys.platform == "linux"
#: Seconds after which a worker is told to stop that has not stopped of itself.
_TOLD_S = 1.0


def main(argv: list[str] | None = None) -> int:
    """Keep one worker alive for each `--worker`, until told to stop; return the exit code."""
    options = _options(argv)
    recording = ("--record", str(options.record)) if options.record else ()
    pool = WorkerPool(load() if _FORKS else None, options.logs, recording)
    # What is loaded stays; what no worker looks through, all of them share.
    gc.freeze()
    signal.signal(signal.SIGTERM, pool.end)
    signal.signal(signal.SIGALRM, pool.stop)
    for queues in options.worker:
        pool.start(queues)
    return pool.keep()


@dataclass
class _Forked:
    """A worker's process; `queues` between commas."""

    queues: str
    log_start: int
    restarts: Restarts = field(default_factory=Restarts)

    @property
    def name(self) -> str:
        return f"worker-{self.queues.split(',')[0]}"


class WorkerPool:
    """The workers of this process."""

    def __init__(self, gateway: LitellmGateway | None, logs: Path, flags: tuple[str, ...]) -> None:
        self._gateway, self._logs, self._flags = gateway, logs, flags
        self._alive: dict[int, _Forked] = {}
        self._stopped = False

    def start(self, queues: str) -> None:
        """Fork the worker of some queues (between commas)."""
        self._start(_Forked(queues, 0))

    def end(self, *_: object) -> None:
        """Start no worker anew; those that were not told to end with this process, as its group is, are told."""
        self._stopped = True
        signal.setitimer(signal.ITIMER_REAL, _TOLD_S)

    def stop(self, *_: object) -> None:
        """Have all workers hand their work back and end."""
        self._stopped = True
        for pid in self._alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def keep(self) -> int:
        """Fork anew what dies, until all have ended; return the exit code."""
        exit_code = 0
        while self._alive:
            pid, _ = os.wait()
            one = self._alive.pop(pid)
            if self._stopped:
                continue
            if one.restarts.one_more():
                self._start(one)
                continue
            _say(too_often(one.name, self._log(one), one.log_start))
            exit_code = GAVE_UP
            self.stop()
        return exit_code

    def _start(self, one: _Forked) -> None:
        log = self._log(one)
        one.log_start = log.stat().st_size if log.exists() else 0
        queues = [part for queue in one.queues.split(",") for part in ("--queue", queue)]
        arguments = [*queues, *self._flags]
        with log.open("ab") as into:
            pid = _spawn(arguments, into) if self._gateway is None else self._fork(arguments, into)
        self._alive[pid] = one
        _say(json.dumps({"worker": one.queues, "pid": pid}))
        if self._stopped:  # meanwhile
            self.stop()

    def _fork(self, arguments: list[str], log: IO[bytes]) -> int:
        # A signal that comes now waits: it is the parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        return pid or os._exit(self._work(arguments))

    def _work(self, arguments: list[str]) -> int:
        """Be the worker; whatever comes of it must not come up in what is its copy of the pool."""
        gateway = self._gateway
        assert gateway is not None
        try:
            return process.main(arguments, load=lambda: gateway)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 1
        except BaseException:
            sys.excepthook(*sys.exc_info())
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def _log(self, one: _Forked) -> Path:
        return self._logs / f"{one.name}.log"


def _spawn(arguments: list[str], log: IO[bytes]) -> int:
    """Start a worker that loads its own. No `Popen`: that would wait for children that only the pool may wait for."""
    command = python("firstline.workers.process", *arguments)
    outputs = [(os.POSIX_SPAWN_DUP2, log.fileno(), stream.fileno()) for stream in (sys.stdout, sys.stderr)]
    return os.posix_spawn(command[0], command, os.environ, file_actions=outputs)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", action="append", required=True, help="queues of a worker, between commas")
    parser.add_argument("--logs", type=Path, required=True, help="folder of the workers' logs")
    parser.add_argument("--record", type=Path, help="append the providers' answers to this file, for replay")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
