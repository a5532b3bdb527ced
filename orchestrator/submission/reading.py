"""How far the reading of a large input is, on stderr; of one that is read at once, nothing."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from firstline.config.telemetry.terminal import shown

Item = TypeVar("Item")

#: Seconds after which something is said, and where no terminal is, how often.
_SILENT_S, _LINE_EVERY_S = 2.0, 10.0


def told(items: Iterable[Item], what: str) -> Iterator[Item]:
    """Yield items as they are read; whoever waits for them is told how many there were, and where none comes, that."""
    count = [0]
    with _telling(what, count):
        for count[0], item in enumerate(items, 1):
            yield item


@contextmanager
def _telling(what: str, count: list[int]) -> Iterator[None]:
    begun, over = time.monotonic(), threading.Event()

    def line() -> str:
        return shown(f"{what}: {count[0]:,} so far, {time.monotonic() - begun:.0f} s")

    def tell() -> None:
        if over.wait(_SILENT_S):
            return
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            with Live(get_renderable=lambda: Text(line()), console=Console(stderr=True), transient=True):
                over.wait()
        while not over.wait(_LINE_EVERY_S):
            sys.stderr.write(f"{line()}\n")

    teller = threading.Thread(target=tell, name="firstline-reading", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
