"""One job's trouble is its own: what is done for many jobs goes on with the next."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from redis.exceptions import RedisError

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store import jobs
from firstline.schemas.errors import FirstlineError, InfrastructureError

_log = logging.getLogger(__name__)

T = TypeVar("T")


def for_each(engine: Context, found: Iterable[T], act: Callable[[T], object], *, job_of: Callable[[T], str]) -> int:
    """Do something for each; what one raises is logged and said at its job. Return how many went well.

    What says nothing about a job, a database or a Redis that is away, is raised.
    """
    well = 0
    for one in found:
        try:
            act(one)
            well += 1
        except (InfrastructureError, RedisError, OSError):
            raise
        except Exception as error:
            _note(engine, job_of(one), error)
    return well


def _note(engine: Context, job: str, error: Exception) -> None:
    _log.exception("sweep.job_failed", extra={"job": job})
    # What an error of ours says is for people; any other may quote what items hold.
    told = str(error) if isinstance(error, FirstlineError) else type(error).__name__
    with engine.db.writing() as tx:
        jobs.say(tx, job=job, reason=f"what it needs next could not be done ({told}); the orchestrators' logs say more")
