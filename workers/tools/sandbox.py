"""What runs inside the child of the Python tool: it gives up its rights for good, then runs the code.

Run as a script by its text (`python -I -c`), so it imports nothing of ours. Usage: LIMITS (JSON), then the code's file.
"""

import ctypes
import json
import os
import resource
import runpy
import struct
import sys
import traceback
from types import TracebackType

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SET_NO_NEW_PRIVS = 38
_READ = 0b1101  # execute, read file, read directory
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # Landlock ABI -> number of file rights it knows; 16 from ABI 5 on
_TCP_RIGHTS = 0b11  # bind, connect; from ABI 4 on
_NO_NETWORK_EVENTS = ("socket.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.", "ctypes.")


def limit(limits: dict[str, int]) -> None:
    """Set hard limits on CPU seconds, address space, file size, open files, processes and core dumps."""
    wanted = {
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    if limits["own_user_count"]:
        wanted[resource.RLIMIT_NPROC] = limits["processes"]
    for kind, value in wanted.items():
        _, hard = resource.getrlimit(kind)
        lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (lowest, lowest))
        except (ValueError, OSError):
            # macOS does not know every limit; the parent's watch on time, output and processes holds there.
            continue


def confine_files(readable: list[str], writable: list[str]) -> bool:
    """Allow reading the Python installation and writing the working folder, nothing else, by Landlock (Linux 5.13).

    See https://docs.kernel.org/userspace-api/landlock.html. False where the kernel has none.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    every = (1 << _FILE_RIGHTS.get(abi, 16)) - 1
    attributes = struct.pack("QQ", every, _TCP_RIGHTS) if abi >= 4 else struct.pack("Q", every)
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    for rights, paths in ((_READ, readable), (every, writable)):
        for path in paths:
            _allow(libc, rules, rights, path)
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)


def _allow(libc: ctypes.CDLL, rules: int, rights: int, path: str) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= 0b110  # a file has no directory rights: write, read
    libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, place), 0)
    os.close(place)


def refuse_network() -> None:
    """Refuse sockets, processes and C calls by an audit hook, where no network namespace keeps them in.

    It stops code that means no harm; it is not a wall (PEP 578 says so of audit hooks).
    """

    def hook(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(_NO_NETWORK_EVENTS):
            raise PermissionError(f"{event} is not allowed here: the code runs without network and processes")

    sys.addaudithook(hook)


def show_own_frames(code: str) -> None:
    """Let an uncaught error's traceback begin in the program, not here."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace and trace.tb_frame.f_code.co_filename != code:
            trace = trace.tb_next
        traceback.print_exception(kind, error, trace)

    sys.excepthook = hook


def main() -> None:
    """Give up rights in order, the irreversible last, and run the code as `__main__`."""
    limits, code = json.loads(sys.argv[1]), sys.argv[2]
    limit(limits)
    has_walls = confine_files(limits["readable"], limits["writable"])
    if limits["needs_walls"] and not has_walls:
        sys.exit(97)
    if not limits["has_no_network"]:
        refuse_network()
    show_own_frames(code)
    sys.argv = [code]
    runpy.run_path(code, run_name="__main__")


if __name__ == "__main__":
    main()
