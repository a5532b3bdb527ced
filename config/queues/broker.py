"""Kombu's Redis transport, but for one thing: a Redis that is away never ends the worker that lost it."""

import logging
from typing import Any

from kombu.transport import redis

_log = logging.getLogger(__name__)


class _QoS(redis.QoS):
    """What was delivered and is not acknowledged yet."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Put back what is unacknowledged, if that can be done.

        Kombu tries it on a channel whose connection is lost, and what that raises counts as a bug of the worker's. What
        is not put back is sent again by the sweep, which knows it from the store.
        """
        try:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call] # kombu has no types
        except Exception as error:
            _log.warning("broker.not_put_back", extra={"messages": len(self._delivered), "error": repr(error)})


class _Channel(redis.Channel):
    QoS = _QoS


class Transport(redis.Transport):
    """The transport that Firstline's processes talk to Redis with."""

    Channel = _Channel
