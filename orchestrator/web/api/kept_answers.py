"""Answers under an `Idempotency-Key`: the same request again has the same answer, and is paid once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from redis.exceptions import RedisError

from firstline.config.shared_state.bounded_texts import BoundedTexts
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.web.problem import Refusal

#: Seconds that an answer is kept, and that a request under way holds its key at most.
_KEPT_S, _HELD_S = 86_400, 900
#: Of a larger answer it is kept that there was one; beyond so many bytes of a tenant its oldest answers go.
LARGEST_BYTES, MOST_BYTES = 1_000_000, 32_000_000


@dataclass(frozen=True)
class KeptAnswer:
    """The place of one request's answer; None: the request has no key, or Redis is away, and nothing is kept."""

    engine: Context
    tenant: str
    #: Digest of its key.
    name: str | None
    #: Digest of what is asked.
    digest: str

    @property
    def key(self) -> str | None:
        """Where it stands in Redis."""
        return None if self.name is None else self.engine.settings.keys.chat(self.tenant, self.name)

    def before(self) -> dict[str, Any] | None:
        """Return the answer of the same request before, or hold its place.

        Refusal: the key stands for another request, or the first one is still under way.
        """
        if self.key is None:
            return None
        with _bearing_outages():
            mine = json.dumps({"digest": self.digest})
            if self.engine.redis.set(self.key, mine, nx=True, ex=_HELD_S):
                return None
            kept = json.loads(str(self.engine.redis.get(self.key) or mine))
            if kept["digest"] != self.digest:
                raise Refusal(
                    HTTPStatus.BAD_REQUEST,
                    "the Idempotency-Key was used for another request; send each request under a key of its own",
                )
            if kept.get("too_large"):
                raise Refusal(
                    HTTPStatus.BAD_REQUEST,
                    f"the answer to this Idempotency-Key took more than {LARGEST_BYTES:,} bytes and was not kept; "
                    "under another key the request is answered, and paid, once more",
                )
            if "body" not in kept:
                detail = "the request of this Idempotency-Key is still under way; ask again in a moment"
                raise Refusal(HTTPStatus.CONFLICT, detail, headers={"retry-after": "1"})
            return dict(kept["body"])
        return None

    def keep(self, body: dict[str, Any]) -> None:
        """Keep the answer."""
        if self.name is None:
            return
        text = json.dumps({"digest": self.digest, "body": body}).encode()
        if len(text) > LARGEST_BYTES:
            text = json.dumps({"digest": self.digest, "too_large": True}).encode()
        prefix = self.engine.settings.keys.chat(self.tenant, "")
        texts = BoundedTexts(prefix, kept_s=_KEPT_S, most_bytes=MOST_BYTES)
        with _bearing_outages():
            self.engine.redis.eval(*texts.keeping(self.name, text))

    def give_up(self) -> None:
        """Leave the place: there is no answer, and the next try is made in earnest."""
        if self.key is not None:
            with _bearing_outages():
                self.engine.redis.delete(self.key)


@contextmanager
def _bearing_outages() -> Iterator[None]:
    try:
        yield
    except RedisError:
        return
