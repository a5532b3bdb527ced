"""A terminal of some width that a program is run in, and what stood on its screen."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Sequence
from dataclasses import dataclass

import pyte

ROWS = 24


@dataclass(frozen=True)
class Drawn:
    """The screens of a run, one for each piece of output; rows without their trailing spaces, empty ones left out."""

    screens: list[list[str]]
    exit_code: int

    @property
    def last(self) -> list[str]:
        return self.screens[-1]


def draw(argv: Sequence[str], *, columns: int, env: dict[str, str] | None = None) -> Drawn:
    """Run a program in a pseudo-terminal and return what it drew."""
    pid, terminal = pty.fork()
    if pid == 0:
        # The size is set here, before the program can ask for it.
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        settings = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            settings.pop(name, None)
        os.execvpe(argv[0], list(argv), settings)
    screen = pyte.Screen(columns, ROWS)
    stream = pyte.ByteStream(screen)
    screens = []
    while data := _read(terminal):
        stream.feed(data)
        screens.append([row.rstrip() for row in screen.display if row.strip()])
    os.close(terminal)
    return Drawn(screens, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # what Linux says when the program has ended
        return b""
