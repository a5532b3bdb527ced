"""Connections to PostgreSQL that notice when their other end is gone, though nobody said so.

A server that vanishes closes nothing, and neither does a firewall or a proxy that forgets a connection: who waits on it
would wait for hours, with a slot of the process in its hand.
"""

import logging
import select
import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, event

_log = logging.getLogger(__name__)
RV = TypeVar("RV")

#: Seconds that a connection waits for an answer before the server is asked, on another one, whether it works on it.
PATIENCE_S = 10.0
#: Seconds that this other one may take.
ASKED_S = 5
_LAST_WORD_S = 1
#: A server process that waits for its client, and none that works for it.
_IDLE = ("idle", "idle in transaction", "idle in transaction (aborted)")


def watch(engine: Engine) -> None:
    """Have an engine's connections notice that their other end is gone."""

    def connect(_dialect: object, _record: object, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        connection = _Connection.connect(*given, **named)
        connection.way = (given, named)
        return connection

    event.listen(engine, "do_connect", connect)


class _Connection(psycopg.Connection[Any]):
    """A connection that asks, by another one, what has become of the server process that it waits for."""

    way: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def wait(self, gen: PQGen[RV], *given: Any, **named: Any) -> RV:
        """Wait for the server; OperationalError: it does not work on what was asked, or is not there any more."""
        return super().wait(self._patiently(gen), *given, **named)

    def _patiently(self, gen: PQGen[RV]) -> PQGen[RV]:
        asked_at = time.monotonic()
        try:
            state = next(gen)
            while True:
                ready = yield state
                if ready:
                    asked_at = time.monotonic()
                elif time.monotonic() - asked_at > PATIENCE_S:
                    self._expect_peer()
                    asked_at = time.monotonic()
                state = gen.send(ready)
        except StopIteration as end:
            value: RV = end.value
            return value

    def _expect_peer(self) -> None:
        # Behind a pooler that shares connections, the process that is told is none of the server's.
        if self.way is None or self.prepare_threshold is None:
            return
        lost = _lost(self.way, self.info.backend_pid)
        if lost is not None and not _says_something(self.pgconn.socket):
            _log.warning("database.peer_lost", extra={"why": lost})
            # Nothing more is to be said to it, not even goodbye.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the connection is lost: {lost}")


def _says_something(socket: int) -> bool:
    """Say whether an answer came after all: it may just have been sent."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(_LAST_WORD_S * 1000))


def _lost(way: tuple[tuple[Any, ...], dict[str, Any]], pid: int) -> str | None:
    """Return why nothing will come from a server process any more; None where it works."""
    given, named = way
    try:
        with psycopg.connect(*given, **{**named, "connect_timeout": ASKED_S}) as other:
            other.execute(f"SET statement_timeout = {ASKED_S * 1000}")
            found = other.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
    except psycopg.errors.ConnectionTimeout:
        return f"the server answered nothing for {PATIENCE_S:g} s, and takes no new connection within {ASKED_S} s"
    except psycopg.Error:
        # It says something, so it is there; what it says is no word on that process.
        return None
    if found is None:
        return "the server knows nothing of it any more"
    return "the server waits for us, while we wait for the server" if found[0] in _IDLE else None
