"""The response cache: accepted answers that all jobs share, by everything that shapes an answer."""

import hashlib
import logging
from dataclasses import dataclass, field

import redis.asyncio
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from redis.exceptions import RedisError

from firstline.config.shared_state.bounded_texts import BoundedTexts
from firstline.config.shared_state.keys import Keys
from firstline.schemas.policy import Confidence
from firstline.workers.loop.background import Background
from firstline.workers.providers.gateway import Call, Reply

_log = logging.getLogger(__name__)

#: Seconds that an answer is shared.
KEPT_S = 7 * 24 * 3600
#: Larger answers are not kept, and beyond so many bytes in all the oldest go.
_LARGEST_BYTES, MOST_BYTES = 256_000, 64_000_000


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An accepted answer, and how sure it was."""

    reply: Reply
    confidence: Confidence | None = None


_shared = TypeAdapter(CachedAnswer)


@dataclass
class ResponseCache:
    """Reads and writes shared answers; without Redis there are none, and nothing else suffers."""

    client: "redis.asyncio.Redis"
    keys: Keys
    _background: Background = field(default_factory=Background)

    async def find(self, digest: str) -> CachedAnswer | None:
        """Return the answer under a digest (`digest_of`)."""
        try:
            text = await self.client.get(self.keys.cached(digest))
            return None if text is None else _shared.validate_json(text)
        except (RedisError, ValidationError) as error:
            _log.warning("cache.unreadable", extra={"error": type(error).__name__})
            return None

    def keep(self, digest: str, shared: CachedAnswer) -> None:
        """Have an accepted answer written soon; `written` waits for it."""
        text = _shared.dump_json(shared, exclude_defaults=True)
        if len(text) <= _LARGEST_BYTES:
            self._background.do(self._write(digest, text))

    async def written(self) -> None:
        """Wait until everything kept so far is shared."""
        await self._background.done()

    async def _write(self, digest: str, text: bytes) -> None:
        texts = BoundedTexts(self.keys.cached(""), kept_s=KEPT_S, most_bytes=MOST_BYTES)
        await self.client.eval(*texts.keeping(digest, text))


def digest_of(call: Call, skill_digest: str, *, tenant: str) -> str:
    """Return the SHA-256 over tenant, model, endpoint, parameters, messages, schema, tools and the skill's digest."""
    model = call.model
    shaping = {
        "tenant": tenant,
        "model": [model.name, model.api_base],
        "params": {**model.params, **call.params},
        "messages": call.messages,
        "schema": [call.schema_name, call.schema],
        "tools": call.tools,
        "logprobs": call.top_logprobs,
        "structured": model.structured,
        "skill": skill_digest,
    }
    return hashlib.sha256(to_json(_ordered(shaping))).hexdigest()


def _ordered(value: object) -> object:
    match value:
        case dict():
            return {name: _ordered(value[name]) for name in sorted(value)}
        case list() | tuple():
            return [_ordered(part) for part in value]
        case _:
            return value
