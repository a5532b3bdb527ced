"""Connections to Redis."""

from typing import Any

import redis
import redis.asyncio
from redis.exceptions import NoPermissionError

from firstline.config.shared_state.keys import Keys
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


#: Seconds that Redis is asked for at the start of a process; one that is away is waited for later.
_PATIENCE_S = 2.0


def expect_allowed(url: str | None, keys: Keys) -> None:
    """Raise UserError where Redis refuses its user what this deployment needs."""
    with connect(url, patience_s=_PATIENCE_S) as client:
        if lacking := refusal(client, keys):
            raise UserError(lacking)


def refusal(client: redis.Redis, keys: Keys) -> str | None:
    """Return what a Redis user lacks of what this deployment needs, as a sentence; None: nothing, or no answer."""
    within = (keys.lease("probe"), keys.queue("probe"))
    try:
        for name in within:
            client.eval("return redis.call('EXISTS', KEYS[1])", 1, name)
            client.publish(name, "")
    except NoPermissionError as error:
        needed = " ".join(f"{sign}{keys.namespace}{mark}*" for sign in "~&" for mark in ":.")
        return f"Redis refuses its user what is needed ({error}); allow it `{needed} +@all` (ACL SETUSER)"
    except (redis.RedisError, OSError):
        return None
    return None


def _named(url: str | None) -> str:
    if url is None:
        raise UserError("FIRSTLINE_REDIS_URL is not set; expected a URL such as redis://localhost:6379/0")
    return url
