"""Answers that were paid for, kept in Redis from the call to the judging, so that no crash pays twice."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis.asyncio
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError

from firstline.config.shared_state.keys import Keys
from firstline.workers.providers.gateway import Reply

_log = logging.getLogger(__name__)
#: Seconds after which what Redis did not take is written again.
AGAIN_S = 1.0
#: Answers that wait for Redis at most; the oldest are let go first.
_WAITING = 20_000
#: Seconds that an answer is kept when nobody judges it.
KEPT_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class PaidAnswer:
    """An answer with the time of its call: by that the same call is known in two trails."""

    started_at: datetime
    reply: Reply
    #: The model that gave it, where that may be another one than is asked now.
    model: str | None = None


_kept = TypeAdapter(PaidAnswer)


@dataclass
class PaidAnswers:
    """Writes answers of all running batches in as few round trips as the traffic allows."""

    client: "redis.asyncio.Redis"
    keys: Keys
    _queue: list[tuple[str, str, bytes]] = field(default_factory=list)
    #: What writes the queue next; it begins when what is being written now is.
    _next: "asyncio.Task[None] | None" = None
    _now: "asyncio.Task[None] | None" = None
    _again: asyncio.TimerHandle | None = None

    def keep(self, *, batch: str, item: int, step: str, n: int, kept: PaidAnswer) -> None:
        """Have an answer written soon; `written` waits for it."""
        text = _kept.dump_json(kept, exclude_defaults=True)
        self._queue.append((self.keys.answers(batch), f"{item}:{step}:{n}", text))
        self._begin()

    def _begin(self) -> None:
        self._again = None
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_task(self._write(self._now))

    async def written(self) -> None:
        """Wait until everything kept so far stands in Redis or was refused, however much is kept meanwhile."""
        last = self._next or self._now
        if last is not None:
            await asyncio.wait([last])

    async def of(self, batch: str) -> dict[str, PaidAnswer]:
        """Return what an earlier delivery of this batch was answered: `item:step:n` -> answer."""
        try:
            texts = await self.client.hgetall(self.keys.answers(batch))
        except RedisError:
            _log.warning("paid_answers.unreadable", extra={"batch": batch})
            return {}
        return {str(name): kept for name, text in texts.items() if (kept := _read(text)) is not None}

    async def _write(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        self._now, self._next = self._next, None
        waiting, self._queue = self._queue, []
        try:
            pipe = self.client.pipeline(transaction=False)
            together: dict[str, dict[Any, Any]] = {}
            for key, name, text in waiting:
                together.setdefault(key, {})[name] = text
            for key, answers in together.items():
                pipe.hset(key, mapping=answers)
                pipe.expire(key, KEPT_S)
            await pipe.execute()
        except RedisError:
            # The trail still carries them, but another worker may be given the batch before it is judged.
            _log.warning("paid_answers.unwritten", extra={"answers": len(waiting)})
            self._queue = [*waiting, *self._queue][-_WAITING:]
            if self._again is None:
                self._again = asyncio.get_running_loop().call_later(AGAIN_S, self._begin)


def _read(text: str | bytes) -> PaidAnswer | None:
    try:
        return _kept.validate_json(text)
    except ValidationError:
        return None
