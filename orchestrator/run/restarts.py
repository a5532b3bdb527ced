"""How often a process may die before it is not started again, and what a person is told then."""

import time
from collections import deque
from pathlib import Path

#: A process that dies this often within `_WINDOW_S` seconds is not started again.
MAX_RESTARTS = 5
_WINDOW_S = 60.0
_TAIL_LINES = 5
#: The exit code of a process one of whose own died too often: nothing is gained by starting it again.
GAVE_UP = 70


class Restarts:
    """The deaths of one process so far."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS)

    def one_more(self) -> bool:
        """Say whether a process that has just died may be started again, and count it if so."""
        now = time.monotonic()
        if len(self._deaths) == MAX_RESTARTS and now - self._deaths[0] < _WINDOW_S:
            return False
        self._deaths.append(now)
        return True


def too_often(name: str, log: Path, start: int) -> str:
    """Return that a process died too often, with the end of its log since `start` (bytes)."""
    return f"{name} stopped {MAX_RESTARTS + 1} times within a minute: {last_lines(log, start)}"


def last_lines(log: Path, start: int) -> str:
    """Return the end of a log since `start` (bytes), for a person."""
    with log.open("rb") as written:
        written.seek(start)
        text = written.read().decode(errors="replace").strip()
    tail = "\n  ".join(text.splitlines()[-_TAIL_LINES:])
    return f"see {log}; it ends with:\n  {tail}" if tail else f"see {log}"
