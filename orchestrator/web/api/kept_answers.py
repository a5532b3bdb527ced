"""Answers under an `Idempotency-Key`: the same request again has the same answer, and is paid once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from redis.exceptions import RedisError

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.web.problem import Refusal

#: Seconds that an answer is kept, and that a request under way holds its key at most.
_KEPT_S, _HELD_S = 86_400, 900


@dataclass(frozen=True)
class KeptAnswer:
    """The place of one request's answer; None: the request has no key, or Redis is away, and nothing is kept."""

    engine: Context
    key: str | None
    digest: str

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
            if "body" not in kept:
                detail = "the request of this Idempotency-Key is still under way; ask again in a moment"
                raise Refusal(HTTPStatus.CONFLICT, detail, headers={"retry-after": "1"})
            return dict(kept["body"])
        return None

    def keep(self, body: dict[str, Any]) -> None:
        """Keep the answer."""
        if self.key is not None:
            with _bearing_outages():
                self.engine.redis.set(self.key, json.dumps({"digest": self.digest, "body": body}), ex=_KEPT_S)

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
