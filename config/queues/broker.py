"""Kombu's Redis transport, but for what would end a worker: a Redis away, full or shared, foreign messages."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import Empty
from typing import Any, ClassVar

from celery.app.amqp import AMQP
from celery.worker import state
from kombu.connection import Connection
from kombu.exceptions import InconsistencyError, OperationalError
from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError

from firstline.config.queues.signing import keyring
from firstline.config.shared_state.keys import Keys

_log = logging.getLogger(__name__)

#: Seconds between two tries to connect: of the first, how many more each time, at most.
_ASKED_AGAIN = {"interval_start": 1, "interval_step": 1, "interval_max": 4}

#: What handing a message on may raise that says nothing about the message.
_OF_THE_CONNECTION = (RedisError, OSError, InconsistencyError, OperationalError)


class _QoS(redis.QoS):
    """What was delivered and is not acknowledged yet.

    Of that a process holds so much and no more. So what was worked on is let go of whatever Redis says to it: kombu
    keeps what could not be acknowledged, and after a few of those a process takes nothing any more.
    """

    #: Key of what is unacknowledged -> what of it is done with, whoever of this process's channels it came by.
    _done: ClassVar[defaultdict[str, set[str]]] = defaultdict(set)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, and those of which Redis would not hear before."""
        done = self._done[self.unacked_key]
        done.add(delivery_tag)
        try:
            self._strike_off(tags := tuple(done))
            done.difference_update(tags)
        finally:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give a message up, or back to its queue."""
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            super().reject(delivery_tag, requeue=True)  # type: ignore[no-untyped-call]
        except _OF_THE_CONNECTION:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise

    def _strike_off(self, tags: tuple[str, ...]) -> None:
        # Not as a transaction: a full Redis refuses all that stands in one, even what frees memory.
        with self.channel.conn_or_acquire() as client:
            pipe = client.pipeline(transaction=False)
            # In this order: what is only half done is found again by the index.
            pipe.hdel(self.unacked_key, *tags).zrem(self.unacked_index_key, *tags).execute()

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

    def restore_visible(self, *arguments: Any, **named: Any) -> None:
        """Put back what was unacknowledged for too long, if Redis takes it.

        Kombu does this while it connects, too: what is raised there leaves the new connection open for ever.
        """
        try:
            super().restore_visible(*arguments, **named)  # type: ignore[no-untyped-call]
        except _OF_THE_CONNECTION as error:
            _log.debug("broker.not_restored", extra={"error": repr(error)})

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Put back what is unacknowledged, if that can be done.

        Kombu tries it on a channel whose connection is lost, and what that raises counts as a bug of the worker's. What
        is not put back is sent again by the sweep, which knows it from the store.
        """
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]
        except Exception as error:
            _log.warning("broker.not_put_back", extra={"messages": len(self._delivered), "error": repr(error)})


#: What stands before the name of a queue that kombu itself made up (a worker's mailbox, the answers to a command).
_MADE_UP = "_kombu:"


class _Channel(redis.Channel):
    QoS = _QoS
    namespace = ""
    signing_key: str | None = None
    from_transport_options = (
        *redis.Channel.from_transport_options,
        *Keys().transport_options,
        "signing_key",
    )  # type: ignore[assignment] # a tuple of as many as kombu has

    def _q_for_pri(self, queue: str, pri: int) -> str:
        """Return the key of a queue's messages of a priority."""
        # An application's own Celery in this process has no namespace: its queues are called as it calls them.
        is_within = not self.namespace or queue.startswith(f"{self.namespace}.")
        within = queue if is_within else f"{self.namespace}.{_MADE_UP}{queue}"
        return str(super()._q_for_pri(within, pri))  # type: ignore[no-untyped-call] # kombu has no types

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        if self.signing_key is not None:
            keyring(self.namespace, self.signing_key).sign(queue, message)
        super()._put(queue, message, **options)  # type: ignore[no-untyped-call] # kombu has no types

    def _get_publish_topic(self, exchange: str, routing_key: str) -> str:
        topic = super()._get_publish_topic(exchange, routing_key)  # type: ignore[no-untyped-call]
        return f"{self.namespace}.{topic}" if self.namespace else str(topic)

    def _handle_message(self, client: Any, r: Any) -> dict[str, Any]:
        told: dict[str, Any] = super()._handle_message(client, r)  # type: ignore[no-untyped-call]
        topic: str = bytes_to_str(told["channel"])  # type: ignore[no-untyped-call]
        return told | {"channel": topic.removeprefix(f"{self.namespace}.")}

    def _subscribe(self) -> None:
        """Subscribe by name: a user that is bound to one prefix may not by pattern, as kombu does."""
        client, topics = self.subclient, [self._topic(queue) for queue in self.active_fanout_queues]
        if topics:
            if client.connection._sock is None:
                client.connection.connect()
            self._in_listen = client.connection
            client.subscribe(*topics)

    def _unsubscribe_from(self, queue: str) -> None:
        client = self.subclient
        if client.connection and client.connection._sock:
            client.unsubscribe(self._topic(queue))

    def _topic(self, queue: str) -> str:
        return self._get_publish_topic(*self._fanout_queues[queue])

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


class _SentinelChannel(_Channel, redis.SentinelChannel):
    """A channel to the server that Sentinels name."""

    from_transport_options = (
        *_Channel.from_transport_options,
        "master_name",
        "sentinel_kwargs",
    )  # type: ignore[assignment] # as above


class _Connection(Connection):
    """A connection to Redis: one that is away is asked again within seconds, however long it was away."""

    def _ensure_connection(self, *arguments: Any, **named: Any) -> Any:
        # Kombu waits two seconds longer each time, up to half a minute.
        return super()._ensure_connection(*arguments, **_ASKED_AGAIN | named)  # type: ignore[no-untyped-call]


class Amqp(AMQP):  # type: ignore[misc] # celery has no types
    """What the app sends and takes messages with."""

    Connection = _Connection


class Transport(redis.Transport):
    """The transport that Firstline's processes talk to Redis with."""

    Channel = _Channel
    #: A Redis that refuses (full, read-only, too few replicas) counts as one that is away: clients wait, none ends.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def _deliver(self, message: Any, queue: str) -> None:
        """Hand a message on; what is none of ours is logged and dropped, and ends nothing."""
        try:
            self._admit(message, queue)
            super()._deliver(message, queue.rpartition(_MADE_UP)[2])  # type: ignore[no-untyped-call]
        except _OF_THE_CONNECTION:
            raise
        except Exception as error:
            _log.error("broker.foreign_message", extra={"queue": queue, "error": repr(error)[:200]})
            self._drop(message)

    def _admit(self, message: Any, queue: str) -> None:
        if not isinstance(message["properties"]["delivery_tag"], str):
            # By any other it could be neither acknowledged nor dropped.
            raise TypeError("expected a text as the tag of a message's delivery")
        options = self.client.transport_options  # type: ignore[union-attr] # it is set before anything is delivered
        if (key := options.get("signing_key")) is not None:
            keyring(options["namespace"], key).admit(queue, message)

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


class SentinelTransport(Transport):
    """The same, to the server that Sentinels name."""

    Channel = _SentinelChannel
