"""Who holds a batch: a claim that only a live worker keeps."""

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import TypeVar

import redis.asyncio
from redis.exceptions import RedisError

from firstline.config.shared_state.keys import Keys
from firstline.schemas.base import JsonObject

_log = logging.getLogger(__name__)

#: Seconds that a claim outlives its last change.
CLAIM_S = 2 * 3600
#: Seconds between two tries to tell a Redis that refuses, and until the last one.
AGAIN_S = 1.0
WAITED_S = 600.0
#: Seconds that a worker whose batch was given to another one waits until that is judged.
JUDGED_WITHIN_S = 60.0
#: What a claim says when the batch needs no worker any more.
JUDGED = "judged"
#: What it says when the worker that held the batch has died: look for its paid answers first.
LOST = "lost"
#: What it begins with while the trail is on its way to a judge; Redis's time in seconds follows.
ANSWERED = "answered:"
#: What it begins with when the batch's message, or the trail that came of it, could not be read; why follows.
UNREADABLE = "unreadable:"

# KEYS: claim, prefix of heartbeats, cancel flag of the job. ARGV: worker, seconds, the word for judged.
# -> taken / resumed / held / judged / cancelled
_CLAIM = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[3] then return 'judged' end
if holder and holder ~= ARGV[1] and redis.call('EXISTS', KEYS[2] .. holder) == 1 then return 'held' end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
if redis.call('EXISTS', KEYS[3]) == 1 then return 'cancelled' end
if holder then return 'resumed' end
return 'taken'
"""
# KEYS: claim. ARGV: what it begins with, seconds. Redis's clock is the one that all machines share.
_HAND_ON = """
if redis.call('GET', KEYS[1]) == ARGV[3] then return end
redis.call('SET', KEYS[1], ARGV[1] .. redis.call('TIME')[1], 'EX', ARGV[2])
"""


def sign_of(text: str | bytes | None) -> JsonObject:
    """Return a worker's sign of life; empty where it is none: whoever may write to Redis may leave anything there."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def names_in(sign: JsonObject, field: str) -> tuple[str, ...]:
    """Return the names in a list of a sign, or the keys of a mapping: jobs come with how many batches are in work."""
    found = sign.get(field)
    return tuple(map(str, found)) if isinstance(found, list | dict) else ()


def waited_s(claim: str, now_s: float) -> float:
    """Return the seconds since a batch was answered, by its claim; endless where that does not say when."""
    try:
        return now_s - float(claim.removeprefix(ANSWERED))
    except ValueError:
        return math.inf


class Claim(StrEnum):
    """What came of trying to claim a batch."""

    TAKEN = "taken"
    #: Somebody dead had it, or this worker on an earlier delivery: look for paid answers first.
    RESUMED = "resumed"
    #: Taken, and nothing more may be called for its job.
    CANCELLED = "cancelled"
    #: A live worker has it: this delivery is a repetition.
    HELD = "held"
    #: Nothing is left to do.
    JUDGED = "judged"


#: Says whether Redis may be waited for.
Waits = Callable[[], bool]
T = TypeVar("T")


async def claim(
    client: "redis.asyncio.Redis", keys: Keys, *, batch: str, job: str, worker: str, waits: Waits = lambda: True
) -> Claim:
    """Claim a batch for a worker; RedisError where `waits` says no more."""
    named = (keys.claim(batch), keys.heartbeat(""), keys.cancel(job))
    said = await _patiently(
        lambda: client.eval(_CLAIM, len(named), *named, worker, str(CLAIM_S), JUDGED), batch=batch, waits=waits
    )
    return Claim(said)


async def hand_on(client: "redis.asyncio.Redis", keys: Keys, *, batch: str, waits: Waits = lambda: True) -> None:
    """Note that a batch was answered: from now on it waits for a judge."""
    with suppress(RedisError):
        # Otherwise the sweep will send it again and its paid answers will be found.
        await _patiently(
            lambda: client.eval(_HAND_ON, 1, keys.claim(batch), ANSWERED, str(CLAIM_S), JUDGED),
            batch=batch,
            waits=waits,
        )


def is_anothers(text: str, worker: str) -> bool:
    """Say whether a claim tells that a batch which a worker has begun is no more its own."""
    return text != worker and not text.startswith((ANSWERED, UNREADABLE))


async def judged(client: "redis.asyncio.Redis", keys: Keys, *, batch: str, waits: Waits) -> bool:
    """Wait until a batch that another worker has is judged; False where it was not within `JUDGED_WITHIN_S`."""
    waited_s = 0.0
    while waited_s < JUDGED_WITHIN_S and waits():
        with suppress(RedisError):
            if await client.get(keys.claim(batch)) == JUDGED:
                return True
        await asyncio.sleep(AGAIN_S)
        waited_s += AGAIN_S
    return False


async def _patiently(tell: Callable[[], Awaitable[T]], *, batch: str, waits: Waits) -> T:
    """Tell a Redis that is away or refuses again, as long as `waits` says so; RedisError after that.

    Meanwhile the batch keeps its slot: given up now it would be sent again, and what was answered asked again.
    """
    waited_s = 0.0
    while True:
        try:
            return await tell()
        except RedisError as error:
            _log.warning("claim.untold", extra={"batch": batch, "waited_s": waited_s, "error": str(error)})
            if waited_s >= WAITED_S or not waits():
                raise
        await asyncio.sleep(AGAIN_S)
        waited_s += AGAIN_S
