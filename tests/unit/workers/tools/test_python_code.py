"""Python code runs in a cell: no network, no files, no time to waste, and off by default."""

import os
import socket
import sys
import time
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult
from firstline.workers.tools import python_code
from firstline.workers.tools.base import Place
from firstline.workers.tools.confinement import apart_prefix
from firstline.workers.tools.python_code import Arguments, Options, call

needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not apart_prefix(), reason="this machine grants no network namespace"
)


def run(code: str, *, stdin: str = "", **options: Any) -> ToolResult:
    chosen = {"enabled": True, "allow_weak_isolation": not apart_prefix(), "timeout_s": 20, **options}
    return call(Arguments(code=code, stdin=stdin), Options.model_validate(chosen), Place())


def stdout(result: ToolResult) -> str:
    assert isinstance(result.value, dict), result.error
    return str(result.value["stdout"])


def test_it_is_off_until_switched_on() -> None:
    result = call(Arguments(code="print(1)"), Options(), Place())
    assert "off" in str(result.error)
    assert "enabled: true" in str(result.error)


def test_what_a_program_prints_is_the_answer() -> None:
    assert stdout(run("import sys; print(sum(map(int, sys.stdin)))", stdin="1\n2\n3\n")) == "6\n"


def test_an_uncaught_error_shows_the_programs_own_lines_only() -> None:
    result = run("def f():\n    return 1 / 0\nf()")
    assert "ZeroDivisionError: division by zero" in str(result.error)
    assert isinstance(result.value, dict)
    assert "runpy" not in str(result.value["stderr"])
    assert result.value["exit_code"] == 1


def test_the_environment_and_the_working_folder_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    text = stdout(run("import os; print(sorted(os.environ), os.listdir())"))
    assert "SOME_API_KEY" not in text
    assert "['program.py']" in text


def test_printing_a_gigabyte_is_cut() -> None:
    result = run("for _ in range(1024): print('x' * 1024 * 1024)", output_chars=1000)
    assert len(stdout(result)) == 1000
    assert result.truncated


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import signal\nfor n in (1,2,15): signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
    ],
)
def test_a_program_that_hangs_is_stopped(code: str) -> None:
    started = time.monotonic()
    assert "stopped: it took longer than 1 s" in str(run(code, timeout_s=1).error)
    assert time.monotonic() - started < 4


def test_cpu_time_is_bounded() -> None:
    started = time.monotonic()
    assert run("while True: pass", cpu_s=1).error
    assert time.monotonic() - started < 10


def test_memory_is_bounded() -> None:
    assert "MemoryError" in str(run("x = bytearray(10**10)").error)


def test_files_are_bounded() -> None:
    assert "File too large" in str(run("open('f', 'wb').write(b'x' * 10_000_000)", file_bytes=1000).error)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and namespaces are Linux's")
@needs_namespaces
def test_a_fork_bomb_is_stopped_and_leaves_nothing() -> None:
    result = run("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", timeout_s=5)
    assert "stopped" in str(result.error)


@needs_namespaces
def test_what_leaves_the_session_dies_with_the_call(tmp_path: Any) -> None:
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        print('alive', flush=True)\n"
        "        time.sleep(300)\n"
        "    os._exit(0)\n"
        "time.sleep(0.3)\n"
    )
    started = time.monotonic()
    assert "alive" in stdout(run(code))
    assert time.monotonic() - started < 5


@needs_namespaces
@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 6379), 1)",
        "import socket; socket.create_connection(('8.8.8.8', 53), 1)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
        "import urllib.request; urllib.request.urlopen('http://169.254.169.254/', timeout=1)",
    ],
    ids=["loopback", "tcp", "udp", "metadata"],
)
def test_there_is_no_network(code: str) -> None:
    assert run(code).error


@needs_namespaces
@pytest.mark.parametrize(
    "code",
    [
        "print(open('/etc/passwd').read())",
        "import os; os.listdir(os.path.expanduser('~'))",
        f"print(open({__file__!r}).read())",
        "open('/tmp/firstline-escape', 'w').write('x')",
        "import os; print(open(f'/proc/{os.getppid()}/environ').read())",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))",
        "import os; os.chroot('.')\nopen('/etc/passwd')",
    ],
    ids=["passwd", "home", "our-files", "write-tmp", "parents-environment", "raise-limit", "chroot"],
)
def test_rights_that_were_given_up_do_not_come_back(code: str) -> None:
    result = run(code)
    assert result.error
    assert stdout(result) == ""


def test_without_a_network_namespace_it_refuses_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_code, "apart_prefix", lambda: ())
    assert "allow_weak_isolation: true" in str(run("print(1)", allow_weak_isolation=False).error)
    assert stdout(run("print(1)", allow_weak_isolation=True)) == "1\n"


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import os; os.fork()",
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
    ],
)
def test_the_weak_protection_refuses_sockets_and_processes(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(python_code, "apart_prefix", lambda: ())
    assert "is not allowed here" in str(run(code, allow_weak_isolation=True).error)


@needs_namespaces
@pytest.mark.parametrize("name", ["path", "abstract"])
def test_no_unix_socket_can_be_reached(name: str, tmp_path: Any) -> None:
    address = str(tmp_path / "s") if name == "path" else f"\0firstline-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mail:
        server.bind(address)
        mail.bind(address + ".mail")
        server.listen()
        pair, post = "socket.socketpair(type=socket.SOCK_DGRAM)[0]", address + ".mail"
        for code in (
            f"socket.socket(socket.AF_UNIX).connect({address!r})",
            f"{pair}.sendto(b'x', {post!r})",
            f"{pair}.connect({post!r})",
        ):
            result = run(f"import socket\n{code}\nprint('in')")
            assert "PermissionError" in str(result.error)
            assert stdout(result) == ""


_CALL = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n{}\nprint(os.strerror(ctypes.get_errno()))"


@needs_namespaces
@pytest.mark.parametrize(
    "call_of_c",
    [
        "libc.shmget(0, 4096, 0o1600)",
        "libc.msgget(0, 0o1600)",
        "libc.semget(0, 1, 0o1600)",
        "libc.memfd_create(b'x', 0)",
        "libc.syscall(425, 8, None)",
        "libc.unshare(0x10000000)",
        "libc.mount(b'tmpfs', b'.', b'tmpfs', 0, None)",
        "libc.ptrace(0, 0, 0, 0)",
        "libc.umount2(os.getcwd().encode(), 2)",
    ],
    ids=["shm", "msg", "sem", "memfd", "io_uring", "unshare", "mount", "ptrace", "umount"],
)
def test_the_kernel_refuses_what_leads_out_of_the_cell(call_of_c: str) -> None:
    assert stdout(run(_CALL.format(call_of_c))) == "Operation not permitted\n"


@needs_namespaces
def test_no_power_is_left() -> None:
    code = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapPrm'))])"
    assert stdout(run(code)) == f"{['0' * 16] * 2}\n"


@needs_namespaces
@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("for n in range(99): open(f'{n}', 'wb').write(b'x' * 1_000_000)", "No space left"),
        (
            "import tempfile\nkept = [tempfile.TemporaryFile(dir='.') for _ in range(40)]\n"
            "for one in kept: one.write(b'x' * 1_000_000), one.flush()",
            "No space left",
        ),
        ("import os\nfor n in range(9999): os.mkdir('d'), os.chdir('d')", "No space left"),
        ("for n in range(9999): open(f'{n}', 'w')", "No space left"),
    ],
    ids=["many files", "files that are deleted and open", "deep", "empty files"],
)
def test_the_whole_disk_and_its_depth_are_bounded(code: str, wrong: str, monkeypatch: Any, tmp_path: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert wrong in str(run(code, disk_bytes=5_000_000, files=500).error)
    assert list(tmp_path.iterdir()) == []


@needs_namespaces
@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasync def f(): await asyncio.sleep(0); return 'well'\nprint(asyncio.run(f()))",
        "import threading\none = threading.Thread(target=print, args=['well']); one.start(); one.join()",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(\"well\")'], check=True)",
        "import os, pathlib\nos.makedirs('a/b'); pathlib.Path('a/b/c').write_text('well'); print(open('a/b/c').read())",
        "import tempfile\nwith tempfile.TemporaryDirectory(dir='.') as one: print('well')",
    ],
    ids=["event loop", "thread", "process", "folders", "temporary folder"],
)
def test_what_programs_are_made_of_works(code: str) -> None:
    assert stdout(run(code)) == "well\n"


@needs_namespaces
def test_a_wall_that_is_missing_is_named_and_keeps_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    text = python_code._sandbox().replace("libseccomp.so.2", "libnone.so.9")
    monkeypatch.setattr(python_code, "_sandbox", lambda: text)
    refused = run("print(1)", allow_weak_isolation=False)
    assert "this machine grants no seccomp filter" in str(refused.error)
    assert refused.value is None
    assert stdout(run("print(1)", allow_weak_isolation=True)) == "1\n"
