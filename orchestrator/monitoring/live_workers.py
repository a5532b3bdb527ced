"""The workers of a deployment, as they show themselves in Redis."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import redis

from firstline.config.shared_state.keys import Keys
from firstline.schemas.base import Frozen, JsonObject
from firstline.workers.durability.claims import names_in, sign_of


class LiveWorker(Frozen):
    """One worker process, as it shows itself."""

    worker: str
    queues: tuple[str, ...]
    #: Batches that it takes at once.
    threads: int
    #: Batches that it holds, and whose jobs they are.
    batches: int
    jobs: tuple[str, ...] = ()
    #: It takes nothing more and hands back what it holds.
    stopping: bool = False
    #: Seconds since its last sign of life.
    silent_s: float = 0.0


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
    workers: tuple[LiveWorker, ...] = ()


def look(client: redis.Redis, keys: Keys) -> Crowd:
    """Return the workers of this moment; by the clock of Redis, which all share."""
    pipe = client.pipeline(transaction=False)
    pipe.zrange(keys.workers, 0, -1, withscores=True)
    pipe.time()
    pipe.exists(keys.leader)
    listed, (now_s, _), led = pipe.execute()
    texts = client.mget([keys.heartbeat(name) for name, _ in listed]) if listed else []
    signs = [sign for text in texts if (sign := sign_of(text))]
    silent_s = {name: max(0.0, now_s - beat) for name, beat in listed}
    return Crowd(
        by_queue=Counter(queue for sign in signs for queue in names_in(sign, "queues")),
        holding=frozenset(batch for sign in signs for batch in names_in(sign, "batches")),
        silent_s=silent_s,
        led=bool(led),
        workers=tuple(_worker(sign, silent_s) for sign in signs),
    )


def _worker(sign: JsonObject, silent_s: Mapping[str, float]) -> LiveWorker:
    name = str(sign.get("worker"))
    threads = sign.get("threads")
    return LiveWorker(
        worker=name,
        queues=names_in(sign, "queues"),
        threads=threads if isinstance(threads, int) else 0,
        batches=len(names_in(sign, "batches")),
        jobs=names_in(sign, "jobs"),
        stopping=bool(sign.get("stopping")),
        silent_s=silent_s.get(name, 0.0),
    )
