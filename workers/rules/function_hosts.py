"""Processes that call a user's functions for a worker: one that hangs, dies or eats memory costs its item alone."""

import os
import queue
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic_core import from_json, to_json

from firstline.workers.rules.user_functions import Broken, FunctionCall, FunctionResult

#: Functions that run at once.
_AT_ONCE = min(max(os.cpu_count() or 1, 2), 8)
#: Seconds in which a host has to be there.
_START_S = 60.0
_CHUNK = 65_536
#: What a function may say.
_ANSWER_BYTES = 64 * 2**20


class _Ended(Exception):
    """A host that is no more; says how it ended."""


class _Late(Exception):
    """A host that did not answer in time."""


class FunctionHosts:
    """Hosts that are started when they are needed, and anew where one has ended."""

    def __init__(self, at_once: int = _AT_ONCE, *, memory_bytes: int = 2 * 2**30) -> None:
        self._memory_bytes = memory_bytes
        self._free: queue.LifoQueue[_Host | None] = queue.LifoQueue()
        for _ in range(at_once):
            self._free.put(None)

    def __call__(self, asked: FunctionCall, limit_s: float) -> FunctionResult | Broken:
        """Call a function in a host; never raises for what the function does."""
        path = asked.path
        host, kept = self._free.get(), None
        try:
            if host is None or not host.lives:
                host = _Host(self._memory_bytes)
            answer = host.ask(to_json(asdict(asked)) + b"\n", limit_s)
            kept = host
        except _Late:
            return Broken(f"{path} did not return within {limit_s:g} s")
        except _Ended as how:
            return Broken(f"{path} ended its process ({how})")
        except (OSError, ValueError) as error:
            return Broken(f"{path} could not be called: {error}")
        finally:
            if kept is None and host is not None:
                host.end()
            self._free.put(kept)
        told = from_json(answer)
        return Broken(told["broken"]) if "broken" in told else FunctionResult(told["value"])


class _Host:
    """One process; _Ended, _Late: it is of no more use."""

    def __init__(self, memory_bytes: int) -> None:
        # In a session of its own: who stops the worker lets it answer what it has begun.
        self._process = subprocess.Popen(
            (sys.executable, "-P", "-m", "firstline.workers.rules.function_host", str(memory_bytes)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._read(_START_S)
        except (_Ended, _Late):
            self.end()
            raise

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, line: bytes, limit_s: float) -> bytes:
        """Return what it answers."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except OSError:
            raise _Ended(self._how()) from None
        return self._read(limit_s)

    def end(self) -> None:
        """Kill it, with what the function has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _read(self, limit_s: float) -> bytes:
        assert self._process.stdout is not None
        said, deadline = bytearray(), time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise _Late
                chunk = os.read(self._process.stdout.fileno(), _CHUNK)
                if not chunk or len(said) > _ANSWER_BYTES:
                    raise _Ended(self._how() if not chunk else f"it answered more than {_ANSWER_BYTES} bytes")
                said += chunk
        return bytes(said)

    def _how(self) -> str:
        """Return how the process ended."""
        code: Any = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}, as the system sends where memory runs out" if name == "SIGKILL" else name
