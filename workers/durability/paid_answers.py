"""Answers that were paid for, kept in Redis from the call to the judging, so that no crash pays twice."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import redis.asyncio
from pydantic import TypeAdapter, ValidationError
from redis.exceptions import RedisError

from firstline.config.json_schema.bounds import size_of
from firstline.config.shared_state.keys import Keys
from firstline.workers.providers.gateway import Reply, ToolCall
from firstline.workers.rules.json_text import MAX_DEPTH, printable, printable_json

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

    def keep(self, *, batch: str, item: int, step: str, n: int, kept: PaidAnswer) -> PaidAnswer:
        """Have an answer written soon, and return it as it is kept; `written` waits for it."""
        kept, text = as_kept(kept)
        self._queue.append((self.keys.answers(batch), f"{item}:{step}:{n}", text))
        self._begin()
        return kept

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


#: Said of an answer of which not all could be kept.
IN_PART = "the provider's answer holds what cannot be kept (half a character, or too many levels): the rest is here"


def as_kept(answer: PaidAnswer) -> tuple[PaidAnswer, bytes]:
    """Return an answer as far as it can be kept, and as it is written."""
    try:
        return answer, _kept.dump_json(answer, exclude_defaults=True)
    except (ValueError, RecursionError):
        answer = replace(answer, reply=keepable(answer.reply))
        return answer, _kept.dump_json(answer, exclude_defaults=True)


def keepable(reply: Reply) -> Reply:
    """Return a reply as far as it can be kept: texts with U+FFFD for what is no character, marked; it is paid for."""
    said = f"{printable(reply.detail)}; {IN_PART}" if reply.detail else IN_PART
    return replace(
        reply,
        text=reply.text and printable(reply.text),
        finish_reason=reply.finish_reason and printable(reply.finish_reason),
        detail=said,
        logprobs=(),
        tool_calls=tuple(
            ToolCall(printable(call.id), printable(call.name), _within(call.arguments) or {}, printable(call.raw))
            for call in reply.tool_calls
        ),
        message=reply.message and {name: kept for name, part in reply.message.items() if (kept := _within(part))},
        limits={},
        refusals=tuple(replace(one, detail=one.detail and printable(one.detail)) for one in reply.refusals),
    )


def _within(value: Any) -> Any:
    """Return a value with whole characters; None where it has too many levels."""
    return printable_json(value) if size_of(value).depth <= MAX_DEPTH else None


def _read(text: str | bytes) -> PaidAnswer | None:
    try:
        return _kept.validate_json(text)
    except ValidationError:
        return None
