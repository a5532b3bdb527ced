"""A deployment for those who look after it: its processes, its queues, its models."""

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.monitoring.live_workers import LiveWorker
from firstline.orchestrator.monitoring.model_health import ModelHealth, model_health
from firstline.orchestrator.monitoring.snapshot import Lookout
from firstline.schemas.base import Frozen
from firstline.schemas.tier import Profile


class Queue(Frozen):
    """One queue: what waits in it, and who serves it."""

    queue: str
    #: The tier of the deployment's own profile, or of a job under way, that it belongs to; None: the orchestrators'.
    tier: str | None = None
    #: Worker processes; None for the orchestrators, which do not say how many they are.
    workers: int | None = None
    #: Messages that nobody has taken; None: Redis could not be asked.
    messages: int | None = None
    #: Subtasks sent and not taken, those that are worked on, and how long the oldest waiting one has waited.
    queued: int = 0
    running: int = 0
    oldest_s: float | None = None


class Deployment(Frozen):
    """All of it at one moment."""

    #: Whether an orchestrator leads: without one nothing begins, and nothing lost is sent again. None: not known.
    led: bool | None
    workers: tuple[LiveWorker, ...] = ()
    queues: tuple[Queue, ...] = ()
    models: tuple[ModelHealth, ...] = ()

    @property
    def unserved(self) -> tuple[Queue, ...]:
        """Queues with work that no worker serves."""
        return tuple(queue for queue in self.queues if queue.workers == 0 and (queue.queued or queue.messages))


def deployment(engine: Context, lookout: Lookout, profile: Profile | None) -> Deployment:
    """Return how a deployment stands; what Redis or the database does not tell is left out."""
    snapshot = lookout.look()
    crowd = snapshot.redis.crowd if snapshot.redis else None
    messages = snapshot.redis.messages if snapshot.redis else {}
    loads = snapshot.sql.loads if snapshot.sql else {}
    of_tiers = {load.queue: load for load in loads.values()}
    queues = [
        Queue(
            queue=name,
            tier=load.tier if (load := of_tiers.get(name)) else None,
            workers=(crowd.by_queue[name] if name in of_tiers or crowd.by_queue[name] else None) if crowd else None,
            messages=messages.get(name),
            queued=load.queued if load else 0,
            running=load.running if load else 0,
            oldest_s=load.oldest_s if load else None,
        )
        for name in dict.fromkeys((*of_tiers, *messages))
    ]
    models = model_health(engine.redis, engine.settings.keys, profile) if crowd and profile else []
    return Deployment(
        led=crowd.led if crowd else None,
        workers=crowd.workers if crowd else (),
        queues=tuple(queues),
        models=tuple(models),
    )
