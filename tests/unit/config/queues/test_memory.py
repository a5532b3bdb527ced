"""What large messages leave behind is given back, and found when the process has grown."""

import platform
import subprocess
import sys
import weakref

import pytest

from firstline.config.queues import memory
from firstline.config.queues.memory import GROWN, Growth

#: Small pieces lie between large ones on the heap, so that these leave holes there.
_HOLES = """
from firstline.config.queues.memory import give_back, resident
if {gives_back}:
    give_back()
learnt = b"x" * (24 << 20)
del learnt
before, large, small = resident(), [], []
for n in range(24):
    large.append(b"x" * (4 << 20))
    small.append(b"y" * 600_000)
del large
print((resident() - before) >> 20)
"""


def left_mb(*, gives_back: bool) -> int:
    """Return what a process keeps, in megabytes, of 96 that were freed and 14 that were not."""
    run = [sys.executable, "-c", _HOLES.format(gives_back=gives_back)]
    return int(subprocess.run(run, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have other ways")
def test_large_pieces_that_were_freed_are_the_systems_again() -> None:
    assert left_mb(gives_back=True) < 30
    assert left_mb(gives_back=False) > 90


class Knot:
    """An object that knows itself, as an exception and its frame do."""

    def __init__(self) -> None:
        self.own = self


@pytest.mark.parametrize("sizes", [[100, 100 + GROWN - 1], [100, 100 + 2 * GROWN]])
def test_garbage_is_looked_for_when_the_process_has_grown(monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    told = iter([*sizes, 100 + GROWN])
    monkeypatch.setattr(memory, "resident", lambda: next(told))
    growth = Growth()
    knot = weakref.ref(Knot())
    has_grown = sizes[1] - sizes[0] >= GROWN
    assert growth.look() is has_grown
    assert (knot() is None) or not has_grown


def test_it_is_looked_for_once_for_so_much_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [GROWN, 2 * GROWN, 2 * GROWN, 2 * GROWN, GROWN, 3 * GROWN, GROWN]
    told = iter(sizes)
    monkeypatch.setattr(memory, "resident", lambda: next(told))
    growth = Growth()
    assert [growth.look() for _ in range(4)] == [True, False, False, True]


def test_what_a_process_holds_is_told() -> None:
    assert memory.resident() > 1 << 20
