"""A tool in a child process cannot take the worker with it, whatever it does."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolLimits, ToolResult, ToolSpec
from firstline.workers.tools import isolate
from firstline.workers.tools.base import Place
from firstline.workers.tools.confinement import processes_prefix

FUNCTIONS = """
import os, sys, time

def add(a, b=1):
    print("noise on standard output")
    return {"sum": a + b}

async def later(): return "awaited"

def boom(): raise ValueError("no luck")

def leave(): sys.exit(7)

def vanish(): os._exit(9)

def hang():
    while True: time.sleep(1)

def flood():
    for _ in range(1024): sys.stdout.write("x" * 1024 * 1024)
    return "done"

def huge(): return "x" * 50_000_000

def hungry(): return len(bytearray(10**11))

def odd(): return object()

def keys(): return sorted(os.environ)

def bomb():
    while True:
        try: os.fork()
        except OSError: pass

def orphan(marker):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)", marker])
        os._exit(0)
    time.sleep(0.2)
    return "left"

def forged(): os.write(3, b'{"value": 1'); os._exit(0)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return Place(base=tmp_path, functions=(tmp_path,), cache=tmp_path / "cache")


def call(place: Place, name: str, arguments: dict[str, Any] | None = None, **limits: Any) -> ToolResult:
    spec = ToolSpec(
        name="mine",
        kind="function",
        options={"path": f"mine:{name}"},
        limits=ToolLimits.model_validate({"timeout_s": 30, **limits}),
        env=("GRANTED",),
    )
    return isolate.run(spec, arguments or {}, place=place)


def test_a_value_comes_back_whatever_is_printed(place: Place) -> None:
    result = call(place, "add", {"a": 2})
    assert result.value == {"sum": 3}
    assert result.error is None
    assert result.latency_s is not None
    assert result.latency_s > 0


def test_a_coroutine_is_awaited(place: Place) -> None:
    assert call(place, "later").value == "awaited"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("boom", "ValueError: no luck"),
        ("leave", "SystemExit: 7"),
        ("vanish", "died without an answer (exit code 9)"),
        ("hungry", "MemoryError"),
        ("odd", "that JSON can hold"),
        ("missing", "has no 'missing'"),
        ("forged", "died without an answer"),
    ],
)
def test_what_goes_wrong_is_data_with_a_reason(place: Place, name: str, reason: str) -> None:
    assert reason in str(call(place, name).error)


def test_a_tool_that_hangs_is_stopped(place: Place) -> None:
    started = time.monotonic()
    assert "stopped: it took longer than 2 s" in str(call(place, "hang", timeout_s=2).error)
    assert time.monotonic() - started < 6


def test_a_call_ends_by_itself_when_its_worker_was_killed(place: Place) -> None:
    spec = ToolSpec(name="mine", kind="function", options={"path": "mine:hang"}, limits=ToolLimits(timeout_s=0.5))
    given = isolate.ToolCall(spec=spec, arguments={}, options={}, place=place).model_dump_json().encode()
    child = subprocess.run(
        [sys.executable, "-m", "firstline.workers.tools.child"], input=given, timeout=30, check=False
    )
    assert child.returncode == 1


def test_a_call_that_nobody_waits_for_is_stopped(place: Place) -> None:
    spec = ToolSpec(name="mine", kind="function", options={"path": "mine:hang"})
    stop, started = threading.Event(), time.monotonic()
    threading.Timer(1.0, stop.set).start()
    assert "nobody waits for its answer" in str(isolate.run(spec, {}, place=place, stop=stop).error)
    assert time.monotonic() - started < 6


def test_a_tool_that_prints_a_gigabyte_still_answers(place: Place) -> None:
    assert call(place, "flood").value == "done"


def test_a_huge_answer_is_cut(place: Place) -> None:
    result = call(place, "huge", result_chars=1000)
    assert result.value == "x" * 1000
    assert result.truncated


def test_a_fork_bomb_is_stopped(place: Place) -> None:
    result = call(place, "bomb", processes=20, timeout_s=10)
    assert "stopped: it started" in str(result.error)


def test_what_a_tool_leaves_running_is_killed(place: Place) -> None:
    marker = f"orphan-of-{place.base.name}"
    if not processes_prefix():
        pytest.skip("this machine grants no PID namespace")
    call(place, "orphan", {"marker": marker})
    time.sleep(0.2)
    assert not [process for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


def test_a_tool_sees_only_the_environment_that_its_declaration_names(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("GRANTED", "yes")
    keys: Any = call(place, "keys").value
    assert "GRANTED" in keys
    assert "OPENAI_API_KEY" not in keys


def test_a_wrong_declaration_is_told_before_anything_runs(place: Place) -> None:
    with pytest.raises(UserError, match="there is no kind 'nothing'"):
        isolate.run(ToolSpec(name="x", kind="nothing"), {}, place=place)


def test_search_works_in_the_child_with_relative_folders(place: Place) -> None:
    (place.base / "notes.txt").write_text("A lemon tree.")
    spec = ToolSpec(name="notes", kind="search", options={"folder": "."})
    value: Any = isolate.run(spec, {"query": "lemon"}, place=place).value
    assert value[0]["id"] == "notes#1"


def test_a_trusted_function_runs_within_the_worker(place: Place) -> None:
    (place.base / "near.py").write_text(
        "import os\n\ndef pid(n): return [n, os.getpid()]\n\ndef boom(): raise ValueError('no')\n"
    )
    near = ToolSpec(name="near", kind="function", options={"path": "near:pid", "in_process": True})
    assert isolate.run(near, {"n": 3}, place=place).value == [3, os.getpid()]
    far = near.evolve(options={"path": "near:pid"})
    assert isolate.run(far, {"n": 3}, place=place).value[1] != os.getpid()  # type: ignore[index]
    broken = near.evolve(options={"path": "near:boom", "in_process": True})
    assert "ValueError: no" in str(isolate.run(broken, {}, place=place).error)


def test_no_function_within_the_worker_holds_it_for_longer_than_its_deadline(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.base / "slow.py").write_text("import asyncio\n\nasync def never(): await asyncio.sleep(20)\n")
    monkeypatch.setattr("firstline.workers.rules.user_functions.TIMEOUT_S", 0.2)
    spec = ToolSpec(name="slow", kind="function", options={"path": "slow:never", "in_process": True})
    started = time.monotonic()
    assert "did not return within" in str(isolate.run(spec, {}, place=place).error)
    assert time.monotonic() - started < 5


def test_a_step_cannot_bring_a_function_into_the_worker_that_its_declaration_keeps_out(place: Place) -> None:
    (place.base / "near.py").write_text("import os\n\ndef pid(): return os.getpid()\n")
    spec = ToolSpec(name="near", kind="function", options={"path": "near:pid"})
    assert isolate.run(spec, {}, options={"in_process": True}, place=place).value != os.getpid()
