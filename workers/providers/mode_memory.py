"""Which ways to ask for JSON each endpoint takes, and for which schemas: learnt from refusals, for all workers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import redis.asyncio
from redis.exceptions import RedisError

from firstline.config.shared_state.keys import Keys
from firstline.schemas.base import JsonObject, digest
from firstline.schemas.tier import Model, Structured
from firstline.workers.loop.background import Background
from firstline.workers.providers.endpoint import endpoint

_log = logging.getLogger(__name__)

#: Successes in a row after which a malformed answer is the model's slip, not an endpoint that ignores the schema.
_PROVEN = 3
#: Seconds that a refusal is remembered: then it is tried once more, for providers learn.
KEPT_S = 6 * 3600.0
#: Seconds between two looks at what other workers have learnt.
_LOOK_S = 20.0
#: Seconds that calls wait for the first one with a schema: a refusal comes at once, and is not to be asked for by all.
_SCOUT_S = 2.0
#: In place of a schema: whatever the schema.
_ANY = "*"


@dataclass(slots=True)
class _Endpoint:
    """What is known of one endpoint's modes."""

    able: tuple[Structured, ...]
    streak: dict[Structured, int] = field(default_factory=dict)
    ignored: dict[Structured, int] = field(default_factory=dict)


@dataclass
class ModeStore:
    """What all workers know: a hash in Redis, `endpoint mode schema` -> the Unix time until which it is refused."""

    client: "redis.asyncio.Redis"
    keys: Keys
    background: Background = field(default_factory=Background)

    async def read(self) -> dict[str, float]:
        """Return what is refused now; what has passed is forgotten."""
        now = time.time()
        told = {str(name): float(until) for name, until in (await self.client.hgetall(self.keys.modes)).items()}
        if passed := [name for name, until in told.items() if until <= now]:
            await self.client.hdel(self.keys.modes, *passed)
        return {name: until for name, until in told.items() if until > now}

    def write(self, name: str, until: float) -> None:
        """Have a refusal written soon."""
        self.background.do(self._write(name, until))

    async def _write(self, name: str, until: float) -> None:
        await self.client.hset(self.keys.modes, name, until)


class ModeMemory:
    """Which modes each endpoint (model, base URL and key) is known to take.

    `can` says beforehand whether a mode is worth a try with a model.
    """

    def __init__(self, can: Callable[[Model, Structured], bool] = lambda *_: True) -> None:
        self._can = can
        self.store: ModeStore | None = None
        self._endpoints: dict[str, _Endpoint] = {}
        self._refused: dict[str, float] = {}
        self._learnt_at = float("-inf")
        self._scouts: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._known: set[tuple[str, str]] = set()
        self._digests: dict[int, tuple[JsonObject, str]] = {}

    def modes(self, model: Model, schema: JsonObject) -> tuple[Structured, ...]:
        """Return the modes still worth trying for a schema, strongest first; never none."""
        found = tuple(mode for mode in self._of(model).able if not self._is_refused(model, mode, schema))
        return found or self._of(model).able[-1:]

    def is_proven(self, model: Model, mode: Structured) -> bool:
        """Say whether the mode has worked often enough that a bad answer is no reason to leave it."""
        return self._of(model).streak.get(mode, 0) >= _PROVEN

    def worked(self, model: Model, mode: Structured) -> None:
        """Remember a good answer."""
        known = self._of(model)
        known.streak[mode] = known.streak.get(mode, 0) + 1
        known.ignored.pop(mode, None)

    def has_worked(self, model: Model, mode: Structured) -> bool:
        """Say whether the endpoint has taken the mode before."""
        return self._of(model).streak.get(mode, 0) > 0

    def refused(self, model: Model, mode: Structured, schema: JsonObject | None = None) -> None:
        """Remember for a while that the endpoint does not take the mode: for this schema, or (None) for none."""
        if schema is None and self.has_worked(model, mode):
            return
        name = self._name(model, mode, schema)
        self._refused[name] = time.time() + KEPT_S
        if self.store is not None:
            self.store.write(name, self._refused[name])

    def ignored(self, model: Model, mode: Structured) -> None:
        """Remember an answer without regard for the schema; the second without a good one between is a refusal."""
        known = self._of(model)
        known.ignored[mode] = known.ignored.get(mode, 0) + 1
        if known.ignored[mode] > 1:
            self.refused(model, mode)

    async def learn(self) -> None:
        """Read what other workers have learnt, where that is some time ago; without Redis nothing is learnt."""
        now = time.monotonic()
        if self.store is None or now - self._learnt_at < _LOOK_S:
            return
        self._learnt_at = now
        try:
            self._refused |= await self.store.read()
        except (RedisError, ValueError) as error:
            _log.warning("modes.unreadable", extra={"error": type(error).__name__})

    @asynccontextmanager
    async def scouting(self, model: Model, schema: JsonObject) -> AsyncIterator[None]:
        """Let one call find out how an endpoint takes a schema; the others that come meanwhile wait for it shortly."""
        key = (endpoint(model), self._digest(schema))
        if key in self._known:
            yield
            return
        if (scout := self._scouts.get(key)) is not None:
            await asyncio.wait([scout], timeout=_SCOUT_S)
            yield
            return
        scout = self._scouts[key] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            self._scouts.pop(key, None)
            scout.set_result(None)

    def settle(self, model: Model, schema: JsonObject) -> None:
        """Note that it is known how an endpoint takes a schema."""
        self._known.add((endpoint(model), self._digest(schema)))

    def _is_refused(self, model: Model, mode: Structured, schema: JsonObject) -> bool:
        if not self._refused:
            return False
        now = time.time()
        names = (self._name(model, mode, None), self._name(model, mode, schema))
        return any(self._refused.get(name, 0.0) > now for name in names)

    def _name(self, model: Model, mode: Structured, schema: JsonObject | None) -> str:
        return f"{endpoint(model)} {mode.value} {_ANY if schema is None else self._digest(schema)}"

    def _digest(self, schema: JsonObject) -> str:
        """Return a schema's digest; the same object, as a skill's is for all its items, is digested once."""
        known = self._digests.get(id(schema))
        if known is None or known[0] is not schema:
            if len(self._digests) > 512:
                self._digests.clear()
            known = self._digests[id(schema)] = (schema, digest(schema))
        return known[1]

    def _of(self, model: Model) -> _Endpoint:
        key = endpoint(model)
        if key not in self._endpoints:
            able = tuple(mode for mode in model.structured if self._can(model, mode))
            self._endpoints[key] = _Endpoint(able or (Structured.PROMPT,))
        return self._endpoints[key]
