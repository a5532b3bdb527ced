"""Who holds a batch: a claim that only a live worker keeps."""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from itertools import count

import redis.asyncio
from redis.exceptions import RedisError

from firstline.config.shared_state.keys import Keys

_log = logging.getLogger(__name__)

#: Seconds that a claim outlives its last change.
CLAIM_S = 2 * 3600
#: Seconds between two tries to tell a Redis that refuses, and until the last one.
AGAIN_S = 1.0
WAITED_S = 600.0
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


async def claim(client: "redis.asyncio.Redis", keys: Keys, *, batch: str, job: str, worker: str) -> Claim:
    """Claim a batch for a worker."""
    said = await client.eval(
        _CLAIM, 3, keys.claim(batch), keys.heartbeat(""), keys.cancel(job), worker, str(CLAIM_S), JUDGED
    )
    return Claim(said)


async def hand_on(
    client: "redis.asyncio.Redis", keys: Keys, *, batch: str, waits: Callable[[], bool] = lambda: True
) -> None:
    """Note that a batch was answered: from now on it waits for a judge.

    A Redis that is away or refuses is waited for, as long as `waits` says so: it would not take the trail either, which
    would have to be answered again then.
    """
    for tries in count(1):
        try:
            await client.eval(_HAND_ON, 1, keys.claim(batch), ANSWERED, str(CLAIM_S), JUDGED)
            return
        except RedisError as error:
            _log.warning("claim.not_handed_on", extra={"batch": batch, "tries": tries, "error": str(error)})
        if tries * AGAIN_S > WAITED_S or not waits():
            # The sweep will send it again and its paid answers will be found.
            return
        await asyncio.sleep(AGAIN_S)
