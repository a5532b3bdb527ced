"""Python code in a process of its own: no network, few rights, hard limits; off until it is switched on."""

import json
import sys
import tempfile
from functools import cache
from pathlib import Path

from pydantic import Field

from firstline.schemas.base import Frozen, JsonObject
from firstline.schemas.tool import ToolResult
from firstline.workers.tools import process
from firstline.workers.tools.base import Kind, Place, failed
from firstline.workers.tools.confinement import apart_prefix

_OFF = "running Python code is off; whoever declares the tool can switch it on with `enabled: true` in its options"
_WEAK = (
    "this machine grants no {missing}, so Python code could not be kept in; run the tools worker where it does, "
    "or accept the weaker protection with `allow_weak_isolation: true` in the tool's options"
)
#: The sandbox's exit code for a wall that is missing; its last words name it.
_NO_WALLS = 97
#: Besides the Python installation: what the dynamic loader and time zones need.
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/proc/self")


class Options(Frozen):
    """Whether code may run, and what it may use."""

    enabled: bool = False
    #: Run also where a wall is missing (namespaces, Landlock, seccomp): what there is holds, an audit hook refuses
    #: sockets and processes, and the code may read what the worker's user can read, and fill its disk.
    allow_weak_isolation: bool = False
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    cpu_s: int = Field(default=10, ge=1, le=600)
    memory_bytes: int = Field(default=512 * 1024**2, ge=64 * 1024**2)
    processes: int = Field(default=16, ge=1, le=200)
    #: Bytes of a file, and of all files together.
    file_bytes: int = Field(default=10_000_000, ge=0)
    disk_bytes: int = Field(default=64_000_000, ge=100_000)
    #: Files and folders.
    files: int = Field(default=2_000, ge=10)
    output_chars: int = Field(default=20_000, ge=100, le=1_000_000)


class Arguments(Frozen):
    """A program, and what it reads from its standard input."""

    code: str = Field(max_length=200_000, description="a Python program; what it prints is the answer")
    stdin: str = Field(default="", max_length=5_000_000)


def call(arguments: Arguments, options: Options, _: Place) -> ToolResult:
    """Return `{stdout, stderr, exit_code}`; an error beside it when the program failed or was stopped.

    The child has an empty environment, an empty working folder in memory that goes with it, no network, no sockets and
    no IPC (namespaces and a seccomp filter), no file but Python's own and its working folder (Landlock), and hard
    resource limits.
    """
    if not options.enabled:
        return failed(_OFF)
    prefix = apart_prefix()
    if not prefix and not options.allow_weak_isolation:
        return failed(_WEAK.format(missing="namespaces"))
    with tempfile.TemporaryDirectory(prefix="firstline-code-", ignore_cleanup_errors=True) as folder:
        program = Path(folder, "program.py")
        program.write_text(arguments.code, encoding="utf-8", errors="replace")
        limits = json.dumps(_limits(options, folder, prefix))
        ended = process.run(
            (*prefix, sys.executable, "-I", "-B", "-X", "utf8", "-c", _sandbox(), limits, str(program)),
            process.Bounds(
                timeout_s=options.timeout_s,
                # The program itself may be a descendant of the prefix.
                processes=options.processes + 1,
                stdout_bytes=options.output_chars,
                stderr_bytes=options.output_chars,
            ),
            env={},
            given=arguments.stdin.encode(errors="replace"),
            cwd=Path(folder),
        )
    return _result(ended)


def _limits(options: Options, folder: str, prefix: tuple[str, ...]) -> JsonObject:
    return {
        **options.model_dump(include={"cpu_s", "memory_bytes", "processes", "file_bytes", "disk_bytes", "files"}),
        # A user namespace counts its own processes; elsewhere the limit would count all of the user's.
        "own_user_count": "--user" in prefix,
        "is_apart": bool(prefix),
        "needs_walls": not options.allow_weak_isolation,
        "readable": [*dict.fromkeys((sys.prefix, sys.base_prefix, *_SYSTEM))],
        "folder": folder,
    }


@cache
def _sandbox() -> str:
    return Path(__file__).with_name("sandbox.py").read_text(encoding="utf-8")


def _result(ended: process.ChildResult) -> ToolResult:
    if ended.exit_code == _NO_WALLS and not ended.stdout.kept:
        return failed(_WEAK.format(missing=ended.stderr.text.strip()[:100]))
    value: JsonObject = {"stdout": ended.stdout.text, "stderr": ended.stderr.text, "exit_code": ended.exit_code}
    result = ToolResult(value=value, truncated=ended.stdout.truncated or ended.stderr.truncated)
    if ended.stopped:
        return result.evolve(error=f"the program was stopped: {ended.stopped}")
    if ended.exit_code:
        last = ended.stderr.text.strip().splitlines()[-1:]
        return result.evolve(error=f"the program ended with {ended.exit_code}: {''.join(last)[:500]}".rstrip(": "))
    return result


PYTHON = Kind(
    name="python",
    description="Run a Python program without network or files; returns what it prints.",
    arguments=Arguments,
    options=Options,
    call=call,
    bounds_itself=True,
)
