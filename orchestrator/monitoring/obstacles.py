"""Why a job does not move: what it waits for, from SQL, the workers' signs of life and the models' cool-downs."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from redis.exceptions import RedisError

from firstline.config.shared_state.address import hosts_of
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.monitoring.live_workers import Crowd, look
from firstline.orchestrator.monitoring.model_health import ModelHealth, model_health
from firstline.orchestrator.store import gauges
from firstline.orchestrator.store.gauges import Out, ParkedCount
from firstline.schemas.base import Frozen
from firstline.schemas.job import JobState


class ObstacleKind(StrEnum):
    """What a job waits for."""

    ITEMS = "items"
    REDIS = "redis"
    ORCHESTRATOR = "orchestrator"
    WORKER = "worker"
    MODELS = "models"
    LIMIT = "limit"
    PROVIDER_BATCH = "provider_batch"
    BUDGET = "budget"
    PERSON = "person"


class Obstacle(Frozen):
    """One thing that a job waits for, and how it is mended."""

    kind: ObstacleKind
    text: str
    #: What a person can do; empty where it passes by itself.
    mend: str = ""
    #: When it passes by itself, where that is known.
    until: datetime | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it stands there because somebody wants it so: nothing is broken."""
        return self.kind in (ObstacleKind.PERSON, ObstacleKind.BUDGET, ObstacleKind.ITEMS)

    @property
    def sentence(self) -> str:
        """Both in one line."""
        return f"{self.text}; {self.mend}" if self.mend else self.text


@dataclass(frozen=True)
class Scene:
    """What is known of a job that may stand still."""

    job: Job
    #: The budget that paused it.
    held_by: str | None
    outs: Sequence[Out]
    parked: Sequence[ParkedCount]
    #: None: Redis could not be asked, at the address in `redis` (None: there is none).
    crowd: Crowd | None
    redis: str | None
    models: Sequence[ModelHealth] = ()


def obstacles(engine: Context, job_ids: Collection[str]) -> dict[str, tuple[Obstacle, ...]]:
    """Return job -> what it waits for; nothing for one that gets on, or has ended."""
    crowd = _crowd(engine)
    with engine.db.reading() as tx:
        waiting = [job for job in (engine.job(tx, name) for name in job_ids) if not job.state.ended]
        names = [job.id for job in waiting]
        outs = gauges.out(tx, held=crowd.holding if crowd else (), jobs=names)
        parked, held = gauges.parked_of(tx, jobs=names), gauges.held_by(tx, jobs=names)
    found = {}
    for job in waiting:
        of_job = [out for out in outs if out.job == job.id]
        scene = Scene(
            job=job,
            held_by=held.get(job.id),
            outs=of_job,
            parked=parked.get(job.id, ()),
            crowd=crowd,
            redis=hosts_of(engine.settings.redis_url) if engine.settings.redis_url else None,
            models=_models(engine, job, crowd),
        )
        found[job.id] = obstacles_in(scene)
    return {name: found.get(name, ()) for name in job_ids}


def _crowd(engine: Context) -> Crowd | None:
    if engine.settings.redis_url is None:
        return None
    try:
        return look(engine.redis, engine.settings.keys)
    except (RedisError, OSError):
        return None


def _models(engine: Context, job: Job, crowd: Crowd | None) -> Sequence[ModelHealth]:
    if crowd is None or not job.state.works:
        return ()
    try:
        return model_health(engine.redis, engine.settings.keys, job.profile)
    except (RedisError, OSError):
        return ()


def obstacles_in(scene: Scene) -> tuple[Obstacle, ...]:
    """Return what a job waits for, the gravest first; pure."""
    match scene.job.state:
        case JobState.RECEIVING:
            return (Obstacle(kind=ObstacleKind.ITEMS, text="its items are still being handed in"),)
        case JobState.AWAITING_APPROVAL:
            mend = f"firstline approve {scene.job.id}"
            return (Obstacle(kind=ObstacleKind.PERSON, text="its plan waits for a person's yes", mend=mend),)
        case JobState.PAUSED:
            return (_paused(scene),)
        case JobState.SUBMITTED:
            return tuple(_missing_processes(scene))
        case JobState.PLANNING | JobState.RUNNING:
            return (*_missing_processes(scene), *_parked(scene))
        case JobState.DONE | JobState.FAILED | JobState.CANCELLED:
            return ()


def _paused(scene: Scene) -> Obstacle:
    kind = ObstacleKind.BUDGET if scene.held_by else ObstacleKind.PERSON
    text = scene.job.reason or "it is paused"
    return Obstacle(kind=kind, text=text, mend="" if scene.held_by else f"firstline resume {scene.job.id}")


def _missing_processes(scene: Scene) -> Iterator[Obstacle]:
    if scene.crowd is None:
        yield _without_redis(scene)
        return
    if not scene.crowd.led:
        text = "no orchestrator is alive"
        yield Obstacle(kind=ObstacleKind.ORCHESTRATOR, text=text, mend="start one: firstline orchestrator")
    for out in scene.outs:
        tier = scene.job.tier(out.tier)
        if out.queued and not scene.crowd.by_queue[tier.queue]:
            text = f"no worker serves tier '{out.tier}', which {_waiting(out.queued)} for"
            yield Obstacle(kind=ObstacleKind.WORKER, text=text, mend=_start(scene.job, out.tier))


def _without_redis(scene: Scene) -> Obstacle:
    if scene.redis is not None:
        text = f"Redis at {scene.redis} does not answer"
        return Obstacle(kind=ObstacleKind.REDIS, text=text, mend="start it, or look at FIRSTLINE_REDIS_URL")
    text = "nothing works on it: no `firstline run` is under way here, and FIRSTLINE_REDIS_URL is not set"
    return Obstacle(kind=ObstacleKind.REDIS, text=text, mend=f"go on: firstline resume {scene.job.id}")


def _start(job: Job, tier: str) -> str:
    return f"start one: firstline worker --tier {tier} --profile {job.profile.name}"


def _waiting(subtasks: int) -> str:
    return "1 subtask waits" if subtasks == 1 else f"{subtasks:,} subtasks wait"


def _parked(scene: Scene) -> Iterator[Obstacle]:
    at_work = {out.tier for out in scene.outs} | {row.tier for row in scene.parked}
    for tier in scene.job.ladder:
        models = [model for model in scene.models if model.tier == tier]
        if tier in at_work and models and all(model.is_cooling for model in models):
            yield _cooling(tier, models)
            at_work.discard(tier)
    for row in scene.parked:
        match row.state:
            case "deferred" if row.tier in at_work:
                text = f"{_waiting(row.count)} for the limits of tier '{row.tier}'"
                yield Obstacle(kind=ObstacleKind.LIMIT, text=text, until=row.due_at)
            case "review":
                mend = f"firstline review list --job {scene.job.id}"
                yield Obstacle(kind=ObstacleKind.PERSON, text=f"{_waiting(row.count)} for a person", mend=mend)
            case "bulked":
                text = f"{_waiting(row.count)} for the Batch API of tier '{row.tier}'"
                yield Obstacle(kind=ObstacleKind.PROVIDER_BATCH, text=text)


def _cooling(tier: str, models: Sequence[ModelHealth]) -> Obstacle:
    first = min(model.cooling_until for model in models if model.cooling_until is not None)
    named = ", ".join(f"{model.model} after {model.cooling_after or 'faults'}" for model in models)
    text = f"every model of tier '{tier}' is left alone ({named}); the first is tried again at {first:%H:%M:%S} UTC"
    return Obstacle(kind=ObstacleKind.MODELS, text=text, until=first)
