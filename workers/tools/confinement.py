"""Linux namespaces for a child process: those that this machine grants, found by trying."""

import os
import shutil
import subprocess
import sys
from functools import cache

#: Killing the first process of a PID namespace kills all in it, also what has left the process group.
_PROCESSES = ("--pid", "--fork", "--kill-child")
#: No network, no System V IPC or message queues of others, and mounts of its own.
_APART = ("--net", "--ipc", "--mount")
_OWN_PROC = ("--mount-proc",)
#: Without it, only root may; with it, root's own powers over the machine are gone too.
_USER = ("--user", "--map-current-user")
#: The child may mount within its namespaces, and gives that up before it runs anything.
_MOUNTING = ("--keep-caps",)


@cache
def processes_prefix() -> tuple[str, ...]:
    """Return the command prefix that puts a child in a PID namespace of its own; empty where that is not granted."""
    return _first(_USER + _PROCESSES + _OWN_PROC, _PROCESSES + _OWN_PROC, _USER + _PROCESSES)


@cache
def apart_prefix() -> tuple[str, ...]:
    """Return the prefix for a child apart: no network, IPC or view of other processes, mounts of its own.

    Empty where not granted.
    """
    return _first(
        _USER + _MOUNTING + _APART + _PROCESSES + _OWN_PROC,
        _USER + _MOUNTING + _APART + _PROCESSES,
        # As root without user namespaces (some containers).
        _APART + _PROCESSES + _OWN_PROC,
    )


def _first(*candidates: tuple[str, ...]) -> tuple[str, ...]:
    unshare = shutil.which("unshare")
    prefixes = ((os.path.abspath(unshare), *flags, "--") for flags in candidates) if unshare else ()
    return next((prefix for prefix in prefixes if _works(prefix)), ())


def _works(prefix: tuple[str, ...]) -> bool:
    try:
        command = (*prefix, sys.executable, "-I", "-S", "-c", "")
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
