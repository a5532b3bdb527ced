"""Connections to Redis."""

from typing import Any

import redis
import redis.asyncio

from firstline.schemas.errors import UserError

_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "socket_keepalive": True,
    "socket_connect_timeout": 5,
    # A server that has gone without a word, or the way to it, holds no caller for ever.
    "socket_timeout": 5,
    "health_check_interval": 15,
    "max_connections": 100,
}


def connect(url: str | None, *, patience_s: float | None = None) -> redis.Redis:
    """Return a client whose answers are text; `patience_s`: how long it waits for a connection or an answer."""
    hurried = {"socket_connect_timeout": patience_s, "socket_timeout": patience_s} if patience_s else {}
    return redis.Redis.from_url(_named(url), **_OPTIONS | hurried)


def connect_async(url: str | None) -> "redis.asyncio.Redis":
    """Return a client for an event loop."""
    return redis.asyncio.Redis.from_url(_named(url), **_OPTIONS)


def _named(url: str | None) -> str:
    if url is None:
        raise UserError("FIRSTLINE_REDIS_URL is not set; expected a URL such as redis://localhost:6379/0")
    return url
