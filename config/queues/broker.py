"""Kombu's Redis transport, but for what would end a worker: a Redis that is away or full, foreign messages."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import Empty
from typing import Any

from celery.worker import state
from kombu.exceptions import InconsistencyError, OperationalError
from kombu.transport import redis, virtual
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

_log = logging.getLogger(__name__)

#: What handing a message on may raise that says nothing about the message.
_OF_THE_CONNECTION = (RedisError, OSError, InconsistencyError, OperationalError)


class _QoS(redis.QoS):
    """What was delivered and is not acknowledged yet."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Keep a delivered message until it is acknowledged.

        A full Redis takes no such note, and the message has left its queue by then. It is worked on all the same, which
        frees memory; if its worker dies the sweep sends it again.
        """
        try:
            super().append(message, delivery_tag)  # type: ignore[no-untyped-call] # kombu has no types
        except OutOfMemoryError:
            _log.warning("broker.full", extra={"mend": "give Redis more memory (maxmemory)"})
            virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Put back what is unacknowledged, if that can be done.

        Kombu tries it on a channel whose connection is lost, and what that raises counts as a bug of the worker's. What
        is not put back is sent again by the sweep, which knows it from the store.
        """
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except Exception as error:
            _log.warning("broker.not_put_back", extra={"messages": len(self._delivered), "error": repr(error)})


class _Channel(redis.Channel):
    QoS = _QoS

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Yield a client; what is acknowledged after its channel was closed meets a lost connection, not a bug."""
        if client is None and self.connection is None:
            raise RedisConnectionError("the channel that the message came by is closed")
        with super().conn_or_acquire(client) as found:
            yield found

    def _brpop_read(self, **options: Any) -> Any:
        """Take a message from a queue; one that is not even JSON is logged and dropped."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except (ValueError, RecursionError) as error:
            _log.error("broker.unreadable", extra={"expected": "JSON", "error": repr(error)[:200]})
            raise Empty from None


class Transport(redis.Transport):
    """The transport that Firstline's processes talk to Redis with."""

    Channel = _Channel
    #: A Redis that refuses (full, read-only, too few replicas) counts as one that is away: clients wait, none ends.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        """Hand a message on; what is none of ours is logged and dropped, and ends nothing."""
        try:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]
        except _OF_THE_CONNECTION:
            raise
        except Exception as error:
            _log.error("broker.foreign_message", extra={"queue": queue, "error": repr(error)[:200]})
            self._drop(message)

    def _drop(self, message: Any) -> None:
        """Take a message that was delivered from those to be acknowledged, and from the slot that it was given."""
        properties = message.get("properties") if isinstance(message, Mapping) else None
        tag = properties.get("delivery_tag") if isinstance(properties, Mapping) else None
        for request in tuple(state.requests.values()):
            if request._message.delivery_tag == tag:
                state.task_ready(request)
        for channel in self.channels:
            if isinstance(tag, str) and tag in channel.qos._delivered:
                channel.basic_reject(tag, requeue=False)
