"""Ends a process whose slots are stuck: it is started anew at once, and the sweep sends its work again."""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from celery.worker import state

_log = logging.getLogger(__name__)

#: Exit code of a process that ended itself: EX_SOFTWARE of sysexits.h.
STUCK = 70
#: Seconds between two looks.
_LOOK_S = 5.0


class Message(Protocol):
    """What is looked at of a message that holds a slot: Celery's `Request`."""

    id: str
    name: str


def end_process(stuck: Iterable[Message]) -> NoReturn:
    """Write down where every thread stands, and end this process without waiting for any of them."""
    try:
        _log.critical("slots.stuck", extra={"tasks": ", ".join(sorted({message.name for message in stuck}))})
        # Celery has its own in place of `sys.stderr`, which no thread can be written down to.
        faulthandler.dump_traceback(sys.__stderr__ or 2)
    finally:
        os._exit(STUCK)


@dataclass
class SlotWatch:
    """Knows how long messages have held their slots, by a clock that nobody sets."""

    #: Seconds that a message may hold a slot.
    slot_s: float
    #: Task -> seconds, where that is another time.
    slow_s: Mapping[str, float] = field(default_factory=dict)
    #: Seconds that all slots may be taken with no new message, before the process no longer counts as taking any.
    quiet_s: float | None = None
    held: Callable[[], Iterable[Message]] = lambda: tuple(state.reserved_requests)
    clock: Callable[[], float] = time.monotonic
    end: Callable[[Iterable[Message]], object] = end_process
    _since: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again for the length of the block."""
        stopped = threading.Event()

        def look() -> None:
            while not stopped.wait(_LOOK_S):
                if stuck := self.overdue():
                    self.end(stuck)

        threading.Thread(target=look, name="firstline-slots", daemon=True).start()
        try:
            yield
        finally:
            stopped.set()

    def overdue(self) -> list[Message]:
        """Return the messages that have held their slots for too long."""
        return [
            message for message, seconds in self._ages().items() if seconds > self.slow_s.get(message.name, self.slot_s)
        ]

    def moves(self) -> bool:
        """Say whether a process whose slots are all taken still takes messages: one came not long ago."""
        limit_s = self.slot_s if self.quiet_s is None else self.quiet_s
        return min(self._ages().values(), default=0.0) <= limit_s

    def _ages(self) -> dict[Message, float]:
        """Return the seconds since each message that holds a slot was first seen."""
        now_s, messages = self.clock(), tuple(self.held())
        with self._lock:
            self._since = {message.id: self._since.get(message.id, now_s) for message in messages}
            return {message: now_s - self._since[message.id] for message in messages}
