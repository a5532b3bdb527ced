"""The students in force, as orchestrators publish them in Redis: read once in a while, unpacked once."""

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from firstline.config.shared_state.keys import Keys
from firstline.schemas.errors import UserError

if TYPE_CHECKING:
    import redis.asyncio

    from firstline.workers.rules.student_model import StudentModel

K = TypeVar("K")
V = TypeVar("V")

#: Seconds for which what was read is good: how long a student that was stopped may still answer here.
FRESH_S = 0.05
#: Seconds that what is published outlives its last look.
PUBLISHED_S = 7 * 24 * 3600
_KEPT = 20


@dataclass(frozen=True)
class StudentInForce:
    """A student, the margin from which it answers, and the share of such answers that is audited instead."""

    id: int
    model: "StudentModel"
    margin: float
    audit_share: float
    #: Whether another audit may be drawn: those that are out could all be catches, and then it must have stopped.
    has_room: bool


def told(student: int, *, margin: float | None, audit_share: float, most_caught: int) -> dict[str, str]:
    """Return the fields of the hash that puts a student in force; without a margin it answers nothing.

    At the `most_caught`-th audit that finds it wrong it stops.
    """
    return {
        "most_caught": str(most_caught),
        "id": str(student),
        "margin": "" if margin is None else repr(margin),
        "audit_share": repr(audit_share),
    }


def model_field(packed: bytes) -> dict[str, str]:
    """Return the field that holds a student's arrays."""
    return {"model": base64.b64encode(packed).decode()}


@dataclass
class Students:
    """What one worker process knows of students."""

    client: "redis.asyncio.Redis"
    keys: Keys
    _known: dict[str, tuple[float, StudentInForce | None]] = field(default_factory=dict)
    _models: dict[int, "StudentModel"] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, job: str, step: str) -> StudentInForce | None:
        """Return the student that may answer a step now, as of a moment ago."""
        key = self.keys.student(job, step)
        async with self._reading:
            read_at, known = self._known.get(key, (-FRESH_S, None))
            if time.monotonic() - read_at >= FRESH_S:
                known = await self._read(key)
                _keep(self._known, key, (time.monotonic(), known))
        return known

    async def draw(self, job: str, step: str, item: int) -> None:
        """Note that an item is audited, once, whichever delivery says so."""
        key = self.keys.student(job, step)
        await self.client.sadd(self.keys.audited(key), str(item))
        await self.client.expire(self.keys.audited(key), PUBLISHED_S)
        self._known.pop(key, None)

    async def _read(self, key: str) -> StudentInForce | None:
        pipe = self.client.pipeline(transaction=False)
        pipe.hmget(key, ["id", "margin", "audit_share", "most_caught"])
        pipe.scard(self.keys.clean(key))
        pipe.scard(self.keys.audited(key))
        (number, margin, share, most), clean, drawn = await pipe.execute()
        if not number or not margin or not share or not most:
            return None
        model = self._models.get(int(number))
        if model is None:
            packed = await self.client.hget(key, "model")
            # numpy and scipy are for those who have a student.
            from firstline.workers.rules.student_model import StudentModel

            try:
                model = await asyncio.to_thread(StudentModel.unpack, base64.b64decode(packed or ""))
            except (UserError, ValueError, KeyError):
                return None
            _keep(self._models, int(number), model)
        return StudentInForce(int(number), model, float(margin), float(share), drawn - clean < int(most))


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    if len(kept) >= _KEPT and key not in kept:
        kept.pop(next(iter(kept)))
    kept[key] = value
