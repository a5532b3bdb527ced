"""Processes that are born at once: forked of one that has loaded what they need, as `firstline run` forks its workers.

Loading litellm, Celery and the rest takes seconds of CPU, and the tests start some hundred processes. What runs in them
is `main` of the module that is named, in a session, with an environment, a folder and a log of its own.
"""

import atexit
import gc
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock

_ROOT = Path(__file__).resolve().parents[2]
#: What the processes are: each has a `main` that takes its arguments.
_MODULES = (
    "firstline.orchestrator.cli",
    "firstline.orchestrator.service.process",
    "firstline.workers.process",
    "firstline.workers.simulator.__main__",
)
#: What they load only when they need it.
_LOADED_LATER = ("firstline.orchestrator.cli.serve", "firstline.orchestrator.web.serving")
#: In the environment of the process that forks.
_SIGN = "FIRSTLINE_TESTS_NURSERY"


class Born:
    """A process, to be looked at and told as a `subprocess.Popen`."""

    def __init__(self, module: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self._process = _nursery().Process(target=_live, args=(module, list(arguments), dict(env), str(cwd), str(log)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        # Whoever tells its group something finds one.
        with suppress(ProcessLookupError):
            while os.getpgid(self.pid) != self.pid:
                time.sleep(0.001)

    def poll(self) -> int | None:
        """Return its exit code, None while it lives."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; subprocess.TimeoutExpired after so many seconds."""
        self._process.join(timeout)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def terminate(self) -> None:
        """Tell it to end."""
        self._process.terminate()


def knows(module: str) -> bool:
    """Tell whether a module's process can be born here."""
    return sys.platform == "linux" and module in _MODULES


@cache
def _nursery() -> ForkServerContext:
    """Return what forks, begun when it is first asked for."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    own = {"PYTHONPATH": os.pathsep.join((str(_ROOT / "src"), str(_ROOT))), _SIGN: "1"}
    with mock.patch.dict(os.environ, own):
        forkserver.ensure_running()
    return context


def _live(module: str, arguments: list[str], env: dict[str, str], cwd: str, log: str) -> None:
    """Be a process of that module."""
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    with open(log, "ab") as into:
        os.dup2(into.fileno(), 1)
        os.dup2(into.fileno(), 2)
    sys.argv = [module, *arguments]
    options: dict[str, Any] = {"load": lambda: _gateway} if module == "firstline.workers.process" else {}
    try:
        code = import_module(module).main(arguments, **options)
    finally:
        atexit._run_exitfuncs()
    sys.exit(code)


def _load() -> Any:
    for module in (*_MODULES, *_LOADED_LATER):
        import_module(module)
    gateway = import_module("firstline.workers.providers.litellm_gateway").load()
    gc.freeze()
    return gateway


#: What a worker asks models through; only in the process that forks, and in those that it forked.
_gateway = _load() if os.environ.pop(_SIGN, None) else None
