"""Environments of their own for the peers: made with `python -m venv` and pip, kept, and made anew when they change."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

#: Name of a peer's file -> what it needs beside litellm, which all have in our version.
NEEDS = {
    "plain_celery": ("celery[redis]==5.7.0",),
    "langgraph_send": ("langgraph==1.2.24",),
    "prefect_map": ("prefect==3.9.1",),
    "docetl_map": ("docetl==0.3.0",),
}
_MARK = "requirements.txt"
#: Seconds that an environment may take to be made.
_PATIENCE_S = 900


class Unavailable(Exception):
    """A peer's environment is not there; says why."""


def folder() -> Path:
    """Return where environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "firstline" / "bench"


def python_of(peer: str, *, within: Path, make: bool) -> Path:
    """Return the interpreter of a peer's environment, made now if it must be and may; Unavailable without one."""
    place, wanted = within / peer, "\n".join((*NEEDS[peer], f"litellm=={version('litellm')}", "psutil"))
    python = place / "bin" / "python"
    if python.exists() and (place / _MARK).exists() and (place / _MARK).read_text() == wanted:
        return python
    if not make:
        raise Unavailable("its environment is not made yet: run `python -m bench.overhead` without --quick once")
    _run(sys.executable, "-m", "venv", "--clear", str(place))
    _run(str(python), "-m", "pip", "install", "--quiet", *wanted.splitlines())
    (place / _MARK).write_text(wanted)
    return python


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"could not be installed: {error.stderr.strip()[-200:]}") from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"could not be installed: {error}") from None
