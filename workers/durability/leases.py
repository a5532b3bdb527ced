"""Leases: the right to do one thing alone, kept for as long as its holder shows that it lives."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import redis.asyncio
from redis.exceptions import RedisError

_log = logging.getLogger(__name__)

#: Seconds that a lease outlives its holder's last sign of life.
LEASE_S = 30.0

# KEYS: lease. ARGV: holder, milliseconds. -> 1 while it is the holder's; one that Redis has lost is taken anew.
_RENEW = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# KEYS: lease. ARGV: holder.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


@dataclass(slots=True)
class Lease:
    """A lease that is held; `is_held` is false once another took it, because Redis was away for too long."""

    key: str
    holder: str
    is_held: bool = True


@asynccontextmanager
async def lease(client: "redis.asyncio.Redis", key: str, *, seconds: float = LEASE_S) -> AsyncIterator[Lease | None]:
    """Hold a lease within this context and renew it all the while; None where somebody else has it."""
    mine = Lease(key, secrets.token_hex(8))
    if not await client.set(key, mine.holder, nx=True, px=int(seconds * 1000)):
        yield None
        return
    done = asyncio.Event()
    renewal = asyncio.create_task(_renew(client, mine, seconds, done))
    try:
        yield mine
    finally:
        # Told, not cancelled: a command that is cancelled on its way breaks its connection.
        done.set()
        await renewal
        with suppress(RedisError):
            await client.eval(_RELEASE, 1, key, mine.holder)


async def _renew(client: "redis.asyncio.Redis", mine: Lease, seconds: float, done: asyncio.Event) -> None:
    while mine.is_held and not done.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), seconds / 3)
            return
        try:
            kept = await client.eval(_RENEW, 1, mine.key, mine.holder, str(int(seconds * 1000)))
        except RedisError as error:
            _log.warning("lease.not_renewed", extra={"lease": mine.key, "error": type(error).__name__})
            continue
        mine.is_held = bool(kept)
