"""Audits of students: what came of each is told to workers as it is judged, for a student waits while many are out."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection

from firstline.config.shared_state.keys import Keys
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.core.job import Job
from firstline.orchestrator.store import students
from firstline.orchestrator.store.students import StudentAudit
from firstline.schemas.batch import Trail
from firstline.workers.durability.students import PUBLISHED_S

_log = logging.getLogger(__name__)


def ended(tx: Connection, *, job: Job, trail: Trail) -> Mapping[str, Sequence[StudentAudit]]:
    """Return step -> the audits that a trail of the top tier has ended."""
    student = job.profile.student
    if student is None or trail.tier != job.ladder[-1]:
        return {}
    numbers = [item.item for item in trail.items]
    steps = dict.fromkeys(settled.step for item in trail.items for settled in item.settled)
    return {step: students.audits(tx, job=job.id, step=step, tier=student.name, items=numbers) for step in steps}


def announce(context: Context, job: Job, found: Mapping[str, Sequence[StudentAudit]]) -> None:
    """Tell workers; what Redis does not take is told at the next look at the student."""
    if not any(found.values()):
        return
    pipe = context.redis.pipeline()
    for step, audits in found.items():
        tell(pipe, context.settings.keys, job.id, step, audits)
    try:
        pipe.execute()
    except RedisError:
        _log.warning("student.audits_not_told", extra={"job": job.id})


def tell(pipe: Redis, keys: Keys, job: str, step: str, audits: Iterable[StudentAudit]) -> None:
    """Add to a pipeline which items were drawn, and which of these are no catches; each once, however often told."""
    student = keys.student(job, step)
    drawn = [str(one.item) for one in audits]
    clean = [str(one.item) for one in audits if one.is_clean]
    for key, items in ((keys.audited(student), drawn), (keys.clean(student), clean)):
        if items:
            pipe.sadd(key, *items)
            pipe.expire(key, PUBLISHED_S)
