"""The orchestrators' Celery tasks: each rebuilds its schema and calls one function."""

import logging
from typing import Any

from celery import Celery, Task
from celery.canvas import Signature
from pydantic import ValidationError

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import provider_batches, publish
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.engine.release import passed, release, send_shard
from firstline.orchestrator.engine.senders import Senders, senders_of
from firstline.orchestrator.engine.tracing import judge_span
from firstline.orchestrator.service.celery_submit import Unread, submit_message
from firstline.schemas.batch import Trail
from firstline.schemas.errors import InfrastructureError, UserError
from firstline.schemas.provider_batch import ProviderBatchNews
from firstline.workers.durability.unread import batch_of, note_of

_log = logging.getLogger(__name__)

#: The database may be away for a while; a message waits for it and is not lost.
_PATIENCE: dict[str, Any] = {
    "autoretry_for": (InfrastructureError, ConnectionError),
    "retry_backoff": 1,
    "retry_backoff_max": 10,
    "retry_jitter": True,
    "max_retries": 60,
}


def register(app: Celery, engine: Context) -> None:
    """Put the tasks on an app."""

    @app.task(name=publish.START, ignore_result=True, **_PATIENCE)  # type: ignore[untyped-decorator]
    def start_task(job: str) -> None:
        start(engine, job)

    @app.task(name=publish.SUBMIT, bind=True, Request=Unread, throws=(UserError,), **_PATIENCE)  # type: ignore[untyped-decorator]
    def submit_task(self: "Task[Any, Any]", request: object = None, items: object = ()) -> str:
        return submit_message(request, items, message=str(self.request.id))

    @app.task(name=publish.RELEASE, ignore_result=True, **_PATIENCE)  # type: ignore[untyped-decorator]
    def release_task(job: str, segment: int | None = None, shard: int | None = None) -> None:
        if segment is None or shard is None:
            release(engine, job)
        else:
            passed(engine, job, segment, shard)

    @app.task(name=publish.SHARD, ignore_result=True, **_PATIENCE)  # type: ignore[untyped-decorator]
    def shard_task(job: str, segment: int, shard: int) -> None:
        send_shard(engine, job, segment, shard)

    @app.task(name=publish.BULKED, bind=True, ignore_result=True, **_PATIENCE)  # type: ignore[untyped-decorator]
    def bulked_task(self: "Task[Any, Any]", news: str | None) -> None:
        if news is not None:
            senders = senders_of(engine, vars(self.request))
            provider_batches.hear(engine, ProviderBatchNews.model_validate_json(news), senders)

    @app.task(name=publish.JUDGE, bind=True, ignore_result=True, **_PATIENCE)  # type: ignore[untyped-decorator]
    def judge_task(self: "Task[Any, Any]", trail: str | None) -> None:
        if trail is None:
            # A repeated delivery that a live worker refused: its twin brings the trail.
            return
        following = judge_message(engine, trail, senders_of(engine, vars(self.request)))
        if following is not None:
            self.replace(following)


def judge_message(engine: Context, message: str, senders: Senders = None) -> Signature | None:
    """Judge a trail as it came; of one that cannot be judged the sweep asks again, and gives up what never can."""
    try:
        trail = Trail.model_validate_json(message)
        with judge_span(engine.tracer, trail):
            return settle_trail(engine, trail, senders)
    except (InfrastructureError, *publish.UNREACHABLE):
        raise
    except UserError as error:
        # Another deployment uses the same Redis and namespace, or the job was pruned meanwhile.
        _log.error("trail.refused", extra={"reason": str(error)})
    except Exception as error:
        _log.error("trail.unreadable", exc_info=not isinstance(error, ValidationError))
        if (batch := batch_of(message)) is not None:
            engine.redis.eval(*note_of(engine.settings.keys, batch, error))
    return None
