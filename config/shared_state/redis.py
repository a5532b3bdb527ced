"""Connections to Redis."""

import re
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.connection import parse_url
from redis.exceptions import NoPermissionError

from firstline.config.shared_state.address import EXPECTED, Address, address_of, hosts_of
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
    options, address = _OPTIONS | hurried, _named(url)
    if not address.sentinels:
        return redis.Redis.from_url(address.url, **options)
    asked = redis.sentinel.Sentinel(address.sentinels, sentinel_kwargs=address.sentinel_options)  # type: ignore[no-untyped-call]
    found: redis.Redis = asked.master_for(address.master, **options | _of_master(address))  # type: ignore[no-untyped-call]
    return found


def connect_async(url: str | None) -> "redis.asyncio.Redis":
    """Return a client for an event loop."""
    address = _named(url)
    if not address.sentinels:
        return redis.asyncio.Redis.from_url(address.url, **_OPTIONS)
    asked = redis.asyncio.sentinel.Sentinel(address.sentinels, sentinel_kwargs=address.sentinel_options)  # type: ignore[no-untyped-call]
    found: redis.asyncio.Redis = asked.master_for(address.master, **_OPTIONS | _of_master(address))
    return found


def _of_master(address: Address) -> dict[str, Any]:
    """Return what the server is reached with once Sentinels have named it."""
    asked = parse_url(address.url)  # type: ignore[no-untyped-call]
    named_otherwise = ("host", "port", "connection_class")
    return {"ssl": address.tls is not None} | {k: v for k, v in asked.items() if k not in named_otherwise}


#: Seconds that Redis is asked for at the start of a process; one that is away is waited for later.
_PATIENCE_S = 2.0


def expect_allowed(url: str | None, keys: Keys) -> None:
    """Raise UserError where Redis cannot be trusted, or refuses its user what this deployment needs."""
    with connect(url, patience_s=_PATIENCE_S) as client:
        if lacking := refusal(client, keys, url):
            raise UserError(lacking)


def refusal(client: redis.Redis, keys: Keys, url: str | None) -> str | None:
    """Return what keeps this deployment from Redis, as a sentence: its certificate, or what its user may not do.

    None: nothing, or no answer.
    """
    within = (keys.lease("probe"), keys.queue("probe"))
    try:
        for name in within:
            client.eval("return redis.call('EXISTS', KEYS[1])", 1, name)
            client.publish(name, "")
    except NoPermissionError as error:
        needed = " ".join(f"{sign}{keys.namespace}{mark}*" for sign in "~&" for mark in ":.")
        return f"Redis refuses its user what is needed ({error}); allow it `{needed} +@all` (ACL SETUSER)"
    except (redis.RedisError, OSError) as error:
        return distrust(error, url)
    return None


#: What OpenSSL says, and what helps; the first that fits.
_FLAWS = {
    "expired": "renew it",
    "mismatch": "name the host in FIRSTLINE_REDIS_URL as the certificate does",
    "verify failed": "set FIRSTLINE_REDIS_CA_FILE to the certificate of the CA that signed it",
}


def distrust(error: Exception, url: str | None) -> str | None:
    """Return why TLS came to nothing, as a sentence; None where an error says something else."""
    said = re.search(r"\[SSL(?:: \w+)?\] (.+?)(?:\. ?)?(?: ?\(_ssl|$)", text := str(error))
    if said is None:
        return None
    mend = next((mend for sign, mend in _FLAWS.items() if sign in text), "look at FIRSTLINE_REDIS_URL")
    return f"Redis at {hosts_of(url or '')} cannot be trusted ({said[1]}); {mend}"


def _named(url: str | None) -> Address:
    if url is None:
        raise UserError(f"FIRSTLINE_REDIS_URL is not set; expected a URL such as {EXPECTED}")
    return address_of(url)
