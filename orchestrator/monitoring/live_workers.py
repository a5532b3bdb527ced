"""The workers of a deployment, as they show themselves in Redis."""

import json
from collections import Counter
from dataclasses import dataclass, field

import redis

from firstline.config.shared_state.keys import Keys


@dataclass(frozen=True)
class Crowd:
    """The live workers."""

    #: Queue -> worker processes that serve it.
    by_queue: Counter[str] = field(default_factory=Counter)
    #: Batches that they hold.
    holding: frozenset[str] = frozenset()
    #: Worker -> seconds since its last sign of life; one that has just fallen silent is still among them.
    silent_s: dict[str, float] = field(default_factory=dict)
    #: Whether an orchestrator leads, so that lost work is sent again.
    led: bool = False


def look(client: redis.Redis, keys: Keys) -> Crowd:
    """Return the workers of this moment; by the clock of Redis, which all share."""
    pipe = client.pipeline(transaction=False)
    pipe.zrange(keys.workers, 0, -1, withscores=True)
    pipe.time()
    pipe.exists(keys.leader)
    listed, (now_s, _), led = pipe.execute()
    texts = client.mget([keys.heartbeat(name) for name, _ in listed]) if listed else []
    signs = [json.loads(text) for text in texts if text]
    return Crowd(
        by_queue=Counter(queue for sign in signs for queue in sign["queues"]),
        holding=frozenset(batch for sign in signs for batch in sign["batches"]),
        silent_s={name: max(0.0, now_s - beat) for name, beat in listed},
        led=bool(led),
    )
