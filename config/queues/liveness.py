"""Proof that a process takes messages: it posts itself one now and then, and a file tells when one last came through.

A heartbeat or a ping would not do: both are answered by threads and connections of their own, also by a worker whose
queue connection has gone deaf. A pulse travels the way that work travels, to the slots that work uses.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from celery import Celery
from celery.worker import state
from kombu.entity import Exchange, Queue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import Settings
from firstline.schemas.errors import UserError

_log = logging.getLogger(__name__)

TASK = "firstline.pulse"
#: Seconds between two pulses.
EVERY_S = 5.0
#: Seconds in which none of its pulses comes through to a process that ends itself then.
ENDS_AFTER_S = 120.0
#: Seconds that the queue of a process outlives it.
_KEPT_S = 300.0


@dataclass
class Pulse:
    """Posts a process its own messages and keeps when one came through."""

    app: Celery
    queue: Queue
    file: Path
    #: Messages that the process holds at once.
    threads: int
    watch: SlotWatch
    every_s: float = EVERY_S
    clock: Callable[[], float] = time.monotonic
    #: When the first of those was posted that did not come through yet.
    _unheard_since: float | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Post pulses for the length of the block."""
        # Neither Flower, nor a chord, nor the log need see them, and a lost one is not missed.
        options = {"ignore_result": True, "send_events": False, "acks_late": False, "shared": False}
        self.app.task(name=TASK, **options)(self.note)
        thread = threading.Thread(target=self._beat, name="firstline-pulse", daemon=True)
        logging.getLogger("celery.worker.strategy").addFilter(_no_pulse)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join(timeout=self.every_s)

    def note(self) -> None:
        """Keep that a message came through now."""
        self._unheard_since = None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.touch()

    def _beat(self) -> None:
        while not self._stopped.is_set():
            try:
                self.beat()
            except (KombuError, RedisError, OSError) as error:
                _log.warning("pulse.unsent", extra={"error": str(error)})
                self._unheard_since = None
            self._stopped.wait(self.every_s)

    def beat(self) -> None:
        """Post one pulse, in place of one that is still on its way; a process that is full needs none."""
        if len(state.reserved_requests) >= self.threads:
            # A pulse would not come through before a slot is free: the messages that hold them are the proof.
            self._unheard_since = None
            if self.watch.moves():
                self.note()
            return
        with self.app.producer_pool.acquire(block=True) as producer:
            self.queue(producer.channel).purge()  # type: ignore[no-untyped-call] # kombu has no types
            self.app.send_task(TASK, queue=self.queue, priority=0, producer=producer, retry=False)
        self._end_if_deaf()

    def _end_if_deaf(self) -> None:
        """End a process that has free slots, reaches Redis, and is brought nothing from there."""
        now_s = self.clock()
        if self._unheard_since is None or _is_stopping():
            self._unheard_since = now_s
        elif now_s - self._unheard_since > ENDS_AFTER_S:
            _log.critical("pulse.deaf", extra={"seconds": round(now_s - self._unheard_since)})
            self.watch.end(())


def _is_stopping() -> bool:
    return state.should_stop is not None or state.should_terminate is not None


def pulse(app: Celery, settings: Settings, *, threads: int, watch: SlotWatch) -> Pulse | None:
    """Return the pulse of this process; None where no file is set for it."""
    if settings.pulse_file is None:
        return None
    name = settings.keys.queue(f"pulse.{os.uname().nodename}.{os.getpid()}")
    # It goes by itself after its process, also from Redis's list of queues.
    queue = Queue(name, Exchange(name), routing_key=name, expires=_KEPT_S)  # type: ignore[no-untyped-call]
    return Pulse(app, queue, settings.pulse_file, threads, watch)


def _no_pulse(record: logging.LogRecord) -> bool:
    return TASK not in record.getMessage()


#: Seconds without a pulse after which a process counts as deaf.
DEAF_AFTER_S = 30.0


def silent_s(settings: Settings, *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds since a message came through; None when none ever did. UserError when no file is set."""
    if settings.pulse_file is None:
        raise UserError(
            "FIRSTLINE_PULSE_FILE is not set; expected the file that a worker or orchestrator on this machine was given"
        )
    try:
        return max(clock() - settings.pulse_file.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return None
