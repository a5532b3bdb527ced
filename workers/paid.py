"""Answers that were paid for, kept in Redis from the call to the judging, so that no crash pays twice."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import redis.asyncio
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError

from config.keys import Keys
from workers.gateway import Reply

_log = logging.getLogger(__name__)
_reply = TypeAdapter(Reply)

#: Seconds that an answer is kept when nobody judges it.
KEPT_S = 24 * 3600


@dataclass
class PaidAnswers:
    """Writes answers of all running batches in as few round trips as the traffic allows."""

    client: "redis.asyncio.Redis"
    keys: Keys
    _queue: list[tuple[str, str, bytes]] = field(default_factory=list)
    _writing: "asyncio.Task[None] | None" = None

    def keep(self, *, batch: str, item: int, step: str, n: int, reply: Reply) -> None:
        """Have an answer written soon; `written` waits for it."""
        self._queue.append(
            (self.keys.answers(batch), f"{item}:{step}:{n}", _reply.dump_json(reply, exclude_defaults=True))
        )
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def written(self) -> None:
        """Wait until everything kept so far stands in Redis."""
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def of(self, batch: str) -> dict[str, Reply]:
        """Return what an earlier delivery of this batch was answered: `item:step:n` -> reply."""
        try:
            kept: Mapping[str, str] = await self.client.hgetall(self.keys.answers(batch))  # type: ignore[misc]
        except RedisError:
            _log.warning("paid_answers.unreadable", extra={"batch": batch})
            return {}
        return {name: reply for name, text in kept.items() if (reply := _read(text)) is not None}

    async def _write(self) -> None:
        while self._queue:
            waiting, self._queue = self._queue, []
            try:
                pipe = self.client.pipeline(transaction=False)
                for key, name, text in waiting:
                    pipe.hset(key, name, text)
                for key in {key for key, _, _ in waiting}:
                    pipe.expire(key, KEPT_S)
                await pipe.execute()
            except RedisError:
                # The trail still carries them; only a crash right now would lose them.
                _log.warning("paid_answers.unwritten", extra={"answers": len(waiting)})


def _read(text: str) -> Reply | None:
    try:
        return _reply.validate_json(text)
    except ValidationError:
        return None
