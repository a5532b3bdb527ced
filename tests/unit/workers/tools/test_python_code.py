"""Python code runs in a cell: no network, no files, no time to waste, and off by default."""

import sys
import time
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult
from firstline.workers.tools import python_code
from firstline.workers.tools.base import Place
from firstline.workers.tools.confinement import no_network_prefix
from firstline.workers.tools.python_code import Arguments, Options, call

needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or not no_network_prefix(), reason="this machine grants no network namespace"
)


def run(code: str, *, stdin: str = "", **options: Any) -> ToolResult:
    chosen = {"enabled": True, "allow_weak_isolation": not no_network_prefix(), "timeout_s": 20, **options}
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
    monkeypatch.setattr(python_code, "no_network_prefix", lambda: ())
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
    monkeypatch.setattr(python_code, "no_network_prefix", lambda: ())
    assert "is not allowed here" in str(run(code, allow_weak_isolation=True).error)
