"""Static parts of prompts in providers' caches, as all workers know them: which live, and which one call writes now."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import redis.asyncio
from redis.exceptions import RedisError

from firstline.config.providers.prices import Terms, price_of
from firstline.config.providers.prompt_caches import cache_of
from firstline.config.shared_state.keys import Keys
from firstline.schemas.base import digest
from firstline.schemas.tier import CacheMarks, Model, PromptCache
from firstline.workers.estimates.call_estimate import prompt_tokens, static_part
from firstline.workers.loop.background import Background
from firstline.workers.providers.cache_marks import place_of_mark
from firstline.workers.providers.endpoint import endpoint
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.prompt_cache import CachePlan, Prefix, plan

#: Seconds that calls wait at most for the one that writes their prefix: longer than most answers take.
LONGEST_WARM_S = 60.0
#: Seconds between two looks whether another process has written it.
_LOOK_S = 0.2
#: Share of a prefix's life in which it is counted on, for its clock is the provider's; and in which it is told again.
_SURE, _NEWS = 0.9, 0.2
#: Prefixes that are known at once.
_ROOM = 512


@dataclass(slots=True)
class Turn:
    """A call that may be made, marked as it pays; its reply, once it is there, says what the cache holds."""

    call: Call
    reply: Reply | None = None


@dataclass(slots=True)
class _Known:
    """One prefix of one endpoint; times are those of the process's own clock, in seconds."""

    name: str
    tokens: int
    alive_until: float = 0.0
    told_until: float = 0.0
    #: It was marked and not kept: until then nobody marks it, nor waits.
    unkept_until: float = 0.0
    seen_at: float | None = None
    #: Calls in a row of which each came while the prefix of the one before would have lived.
    in_a_row: int = 0
    #: Done when the call that writes it now is through.
    writing: "asyncio.Future[None] | None" = None

    def reads(self, now: float, life_s: float, expected: int) -> int:
        """Note a call; return how many are to be expected after it: as many as its job says, or as came before."""
        lived, before = self.seen_at is not None and now - self.seen_at < life_s, self.in_a_row
        known, self.seen_at = self.seen_at is not None, now
        self.in_a_row = before + 1 if lived else 0
        if not known:
            return expected
        return max(expected, self.in_a_row) if lived else before


@dataclass
class Prefixes:
    """Decides of each call, as it is made, whether its static part is marked and whether others wait for it."""

    client: "redis.asyncio.Redis"
    keys: Keys
    clock: Callable[[], float] = time.monotonic
    _background: Background = field(default_factory=Background)
    _known: "OrderedDict[tuple[str, int], tuple[object, _Known]]" = field(default_factory=OrderedDict)

    @asynccontextmanager
    async def turn(self, call: Call, *, expected: int) -> AsyncIterator[Turn]:
        """Yield a call once it is its turn: one that writes a prefix goes ahead of all that read it.

        `expected`: calls with the same prefix that are to come, as far as its job says.
        """
        cache = cache_of(call.model)
        if cache is None or cache.marks is CacheMarks.AUTOMATIC or place_of_mark(call) is None:
            yield Turn(call)
            return
        known = self._of(call)
        reads = known.reads(self.clock(), cache.life_s, expected)
        chosen = await self._plan(call.model, cache, known, reads)
        mine, ends = False, self.clock() + min(LONGEST_WARM_S, call.timeout_s)
        while chosen.warm and not mine and self.clock() < ends:
            mine = await self._claim(known)
            if not mine:
                await self._wait_for_writer(known, ends)
                chosen = await self._plan(call.model, cache, known, reads)
        turn = Turn(replace(call, cached=chosen.mark))
        try:
            yield turn
        finally:
            self._learn(cache, known, turn)
            if mine:
                self._let_go(known)

    async def close(self) -> None:
        """Wait until Redis has been told everything."""
        await self._background.done()

    def _of(self, call: Call) -> _Known:
        """Return what is known of a call's static part; all calls of a skill share its messages."""
        first, name = call.messages[0], endpoint(call.model)
        place = (name, id(first))
        found = self._known.get(place)
        if found is None or found[0] is not first:
            static = static_part(replace(call, static=(place_of_mark(call) or 0) + 1))
            parts = [list(static.messages), call.schema, list(call.tools)]
            found = self._known[place] = (first, _Known(f"{name} {digest(parts, length=32)}", prompt_tokens(static)))
            if len(self._known) > _ROOM:
                self._known.popitem(last=False)
        self._known.move_to_end(place)
        return found[1]

    async def _plan(self, model: Model, cache: PromptCache, known: _Known, reads: int) -> CachePlan:
        if known.tokens >= cache.min_tokens and self.clock() >= known.alive_until:
            await self._look(known)
        is_alive = self.clock() < known.alive_until
        is_kept = self.clock() >= known.unkept_until
        price = price_of(model, Terms(prompt_tokens=known.tokens)) if is_kept else None
        return plan(cache, price, Prefix(known.tokens, reads, is_alive=is_alive))

    async def _look(self, known: _Known) -> bool:
        """Learn whether a prefix lives by what another process did; return whether one writes it now."""
        try:
            pipe = self.client.pipeline(transaction=False)
            pipe.pttl(self._key(known))
            pipe.exists(self._writing_key(known))
            left_ms, writing = await pipe.execute()
        except RedisError:
            return False
        if left_ms > 0:
            known.alive_until = known.told_until = self.clock() + left_ms / 1000
        return bool(writing)

    async def _claim(self, known: _Known) -> bool:
        """Claim to be the one call, over all workers, that writes a prefix; without Redis, of this process."""
        if known.writing is not None:
            return False
        known.writing = asyncio.get_running_loop().create_future()
        try:
            mine = await self.client.set(self._writing_key(known), "1", nx=True, px=int(LONGEST_WARM_S * 1000))
        except RedisError:
            mine = True
        except BaseException:
            self._let_go(known)
            raise
        if not mine:
            self._wake(known)
        return bool(mine)

    async def _wait_for_writer(self, known: _Known, ends: float) -> None:
        if known.writing is not None:
            await asyncio.wait([known.writing], timeout=max(0.0, ends - self.clock()))
            return
        await asyncio.sleep(_LOOK_S)
        while await self._look(known) and self.clock() >= known.alive_until and self.clock() < ends:
            await asyncio.sleep(_LOOK_S)

    def _learn(self, cache: PromptCache, known: _Known, turn: Turn) -> None:
        """Take what a reply's usage says of the cache into account."""
        reply, usage = turn.reply, None if turn.reply is None else turn.reply.usage
        if usage is None or not (usage.cache_write_tokens or usage.cached_tokens):
            if reply is not None and reply.error is None and turn.call.cached:
                # Too short for the provider, by its own count, or a server without such a cache.
                known.unkept_until = self.clock() + cache.life_s
            return
        known.alive_until = self.clock() + _SURE * cache.life_s
        if known.alive_until - known.told_until > _NEWS * cache.life_s:
            known.told_until = known.alive_until
            self._background.do(self._tell(known, _SURE * cache.life_s))

    async def _tell(self, known: _Known, life_s: float) -> None:
        await self.client.set(self._key(known), "1", px=int(life_s * 1000))

    def _let_go(self, known: _Known) -> None:
        """Let those go on that wait for the call that wrote a prefix, whatever came of it."""
        self._wake(known)
        self._background.do(self._forget(known))

    def _wake(self, known: _Known) -> None:
        if known.writing is not None:
            known.writing.set_result(None)
        known.writing = None

    async def _forget(self, known: _Known) -> None:
        await self.client.delete(self._writing_key(known))

    def _key(self, known: _Known) -> str:
        return self.keys.prefix(known.name)

    def _writing_key(self, known: _Known) -> str:
        return f"{self._key(known)}:writing"
