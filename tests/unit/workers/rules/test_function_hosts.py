"""A user's functions in processes of their own: whatever one does to its process is a reason, and the next one runs."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from firstline.workers.rules import user_functions
from firstline.workers.rules.function_hosts import FunctionHosts
from firstline.workers.rules.user_functions import Broken, FunctionResult, call

FUNCTIONS = """
import os
import time

def echo(value, item, **named):
    print("to be seen in the worker's log alone")
    return [value, item, named]

def aborts(value):
    os.abort()

def exits(value):
    os._exit(3)

def is_killed(value):
    os.kill(os.getpid(), 9)

def loops(value):
    while True:
        pass

def sleeps(value):
    time.sleep(1000)

def eats(value):
    return len(bytearray(value))

def gives_no_json(value):
    return object()

async def waits(value):
    return value
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "poison.py").write_text(FUNCTIONS)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _hosts() -> Iterator[None]:
    before = user_functions._way.runner
    user_functions.run_by(FunctionHosts(1))
    yield
    user_functions.run_by(before)


def test_a_function_is_given_and_gives_json(folder):
    given = call("poison:echo", {"a": [1, None]}, {"text": "é"}, named={"n": 1.5}, folders=(folder,))
    assert given == FunctionResult([{"a": [1, None]}, {"text": "é"}, {"n": 1.5}])
    assert call("poison:waits", 7, folders=(folder,)) == FunctionResult(7)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aborts", "ended its process (SIGABRT)"),
        ("exits", "ended its process (exit code 3)"),
        ("is_killed", "ended its process (SIGKILL, as the system sends where memory runs out)"),
        ("loops", "did not return within 0.3 s"),
        ("sleeps", "did not return within 0.3 s"),
        ("gives_no_json", "expected an answer that JSON can hold, got object"),
        ("misses", "has no 'misses'"),
    ],
)
def test_what_a_function_does_to_its_process_is_its_items_reason(folder, name, reason):
    said = call(f"poison:{name}", 1, folders=(folder,), timeout_s=0.3)
    assert isinstance(said, Broken)
    assert reason in said.reason
    assert call("poison:waits", name, folders=(folder,)) == FunctionResult(name)


def test_a_function_that_eats_memory_is_refused_it(folder):
    said = call("poison:eats", 3 * 2**30, folders=(folder,))
    assert said == Broken("poison:eats raised MemoryError: ")


def test_hosts_are_one_for_each_that_runs_at_once_and_leave_none_behind(folder):
    def hosts() -> int:
        return sum("function_host" in " ".join(one.cmdline()) for one in psutil.Process().children())

    before = hosts()
    for n in range(3):
        assert call("poison:waits", n, folders=(folder,)) == FunctionResult(n)
        assert isinstance(call("poison:exits", n, folders=(folder,)), Broken)
    assert call("poison:waits", 1, folders=(folder,)) == FunctionResult(1)
    assert hosts() <= max(before, 1)
