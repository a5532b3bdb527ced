"""What is looked at beside a measurement, on a thread of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def observing(look: Callable[[Event], None]) -> Iterator[None]:
    """Run `look` for the length of the block; it returns once the event that it is given is set."""
    over = Event()
    looker = Thread(target=look, args=(over,), daemon=True)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()
