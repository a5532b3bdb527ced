"""What runs inside the child of the Python tool: it gives up its rights for good, then runs the code.

Run as a script by its text (`python -I -c`), so it imports nothing of ours. Usage: LIMITS (JSON), then the code's file.
"""

import ctypes
import errno
import json
import os
import resource
import runpy
import socket
import struct
import sys
import traceback
from types import TracebackType
from typing import Any

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_SET_NO_NEW_PRIVS = 38
_READ = 0b1101  # execute, read file, read directory
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # Landlock ABI -> number of file rights it knows; 16 from ABI 5 on
_TCP_RIGHTS = 0b11  # bind, connect; from ABI 4 on
_SCOPES = 0b11  # abstract Unix sockets and signals of outside; from ABI 6 on
_NOSUID_NODEV = 0b110
_CAPABILITIES_V3 = 0x20080522
_WEAK_EVENTS = ("socket.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.", "ctypes.")

# The seccomp filter, by libseccomp (https://github.com/seccomp/libseccomp).
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000  # with the error's number in the lower half
_NOT_EQUAL, _MASKED_EQUAL = 1, 7
_NEW_NAMESPACES = 0x7E020080
#: What talks to others: sockets of any family, System V IPC, message queues, memory that no limit counts; what looks
#: into other processes or leads out of the walls; and what is none of a program's business.
_REFUSED = (
    "socket connect bind listen accept accept4 sendmsg sendmmsg recvmmsg "
    "shmget shmat shmctl shmdt msgget msgsnd msgrcv msgctl semget semop semtimedop semctl "
    "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr memfd_create memfd_secret "
    "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd pidfd_send_signal "
    "io_uring_setup io_uring_enter io_uring_register userfaultfd bpf perf_event_open "
    "add_key request_key keyctl unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount "
    "fsconfig fspick mount_setattr swapon swapoff quotactl quotactl_fd acct reboot kexec_load kexec_file_load "
    "init_module finit_module delete_module open_by_handle_at name_to_handle_at syslog personality fanotify_init "
    "settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname ioperm iopl lookup_dcookie "
)


class Condition(ctypes.Structure):
    """`struct scmp_arg_cmp`: which argument of a call is compared, and how."""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


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


def bound_disk(folder: str, *, size: int, files: int) -> bool:
    """Put a file system in memory, of this size and number of files, where the working folder was; False: refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"size={size},nr_inodes={files},mode=700".encode()
    if libc.mount(b"tmpfs", folder.encode(), b"tmpfs", _NOSUID_NODEV, data) != 0:
        return False
    os.chdir(folder)
    return True


def drop_powers() -> None:
    """Give up all capabilities of the namespaces; `no_new_privs` keeps them from coming back."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, none = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITIES_V3, 0)), ctypes.create_string_buffer(24)
    if libc.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def confine_files(readable: list[str], writable: list[str]) -> bool:
    """Allow reading the Python installation and writing the working folder, nothing else, by Landlock (Linux 5.13).

    See https://docs.kernel.org/userspace-api/landlock.html. False where the kernel has none.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    every = (1 << _FILE_RIGHTS.get(abi, 16)) - 1
    held = (every, *([_TCP_RIGHTS] if abi >= 4 else ()), *([_SCOPES] if abi >= 6 else ()))
    attributes = struct.pack("Q" * len(held), *held)
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    for rights, paths in ((_READ, readable), (every, writable)):
        for path in paths:
            _allow(libc, rules, rights, path)
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


def refuse_calls() -> bool:
    """Have the kernel refuse system calls that a program in a cell has no use for; False: there is no libseccomp."""
    try:
        seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        return False
    seccomp.seccomp_init.restype = ctypes.c_void_p
    # Calls of another architecture than ours end the process: libseccomp's own default.
    kept = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_ALLOW)))

    def refuse(name: str, *conditions: Condition, error: int = errno.EPERM) -> None:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # this architecture, or this libseccomp, does not know it
        array = (Condition * len(conditions))(*conditions)
        action = ctypes.c_uint32(_REFUSE | error)
        if seccomp.seccomp_rule_add_array(kept, action, number, len(conditions), array) != 0:
            raise OSError(f"seccomp takes no rule for {name}")

    for name in _REFUSED.split():
        refuse(name)
    # Its arguments lie where no filter can look; who is told that it is not there takes `clone`.
    refuse("clone3", error=errno.ENOSYS)
    for flag in (1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1):
        refuse("clone", Condition(0, _MASKED_EQUAL, flag, flag))
    # A pair of stream sockets is a pipe, and event loops have one; with others one could write to any socket's path.
    refuse("socketpair", Condition(0, _NOT_EQUAL, socket.AF_UNIX, 0))
    for kind in {socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_RDM, socket.SOCK_SEQPACKET}:
        refuse("socketpair", Condition(1, _MASKED_EQUAL, 0xF, kind))
    return bool(seccomp.seccomp_load(kept) == 0)


def refuse_by_hook() -> None:
    """Refuse sockets, processes and C calls by an audit hook, where no namespaces keep them in.

    It stops code that means no harm; it is not a wall (PEP 578 says so of audit hooks).
    """

    def hook(event: str, _: tuple[object, ...]) -> None:
        if event.startswith(_WEAK_EVENTS):
            raise PermissionError(f"{event} is not allowed here: the code runs without network and processes")

    sys.addaudithook(hook)


def show_own_frames(code: str) -> None:
    """Let an uncaught error's traceback begin in the program, not here."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace and trace.tb_frame.f_code.co_filename != code:
            trace = trace.tb_next
        traceback.print_exception(kind, error, trace)

    sys.excepthook = hook


def missing_wall(limits: dict[str, Any], code: str) -> str | None:
    """Put up every wall that there is, the irreversible last; return the first that there is not, None: all stand."""
    folder, missing = limits["folder"], []
    if sys.platform != "linux":
        return "namespaces"
    with open(code, encoding="utf-8") as file:
        program = file.read()
    if limits["is_apart"] and bound_disk(folder, size=limits["disk_bytes"], files=limits["files"]):
        with open(code, "w", encoding="utf-8") as file:
            file.write(program)
    else:
        missing.append("mounts")
    drop_powers()
    missing += [] if confine_files(limits["readable"], [folder, "/dev/null"]) else ["Landlock"]
    missing += [] if refuse_calls() else ["seccomp filter (libseccomp.so.2)"]
    return missing[0] if missing else None


def main() -> None:
    """Give up rights and run the code as `__main__`."""
    limits, code = json.loads(sys.argv[1]), sys.argv[2]
    missing = missing_wall(limits, code)
    if missing and limits["needs_walls"]:
        sys.stderr.write(missing)
        sys.exit(97)
    limit(limits)
    if not limits["is_apart"]:
        refuse_by_hook()
    show_own_frames(code)
    sys.argv = [code]
    runpy.run_path(code, run_name="__main__")


if __name__ == "__main__":
    main()
