"""The Lua scripts that run inside Redis, each whole or not at all."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from firstline.workers.limits.cooldown_rules import Cooling

#: Scripts sent to Redis at once.
_MOST = 200


@cache
def _source(name: str) -> str:
    return files("firstline.workers.limits").joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def _sha(name: str) -> str:
    return hashlib.sha1(_source(name).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    name: str
    keys: Sequence[str]
    args: Sequence[str | int | float]
    said: "asyncio.Future[Any]"


class Scripts:
    """Runs the scripts in the order in which they are asked for, those of the same moment in one round trip.

    One connection is enough for any number of calls at once, and a caller that is cancelled breaks no connection.
    Without a `clock` (seconds; for tests) the scripts go by Redis's own time, the one that all workers share.
    """

    def __init__(self, client: "redis.asyncio.Redis", clock: Callable[[], float] | None = None) -> None:
        self.clock = clock
        self._client = client
        self._waiting: list[_Run] = []
        self._sending: asyncio.Task[None] | None = None

    async def run(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Run one script; it finds the time before `args`."""
        now = "" if self.clock is None else f"{self.clock():.6f}"
        loop = asyncio.get_running_loop()
        run = _Run(name, keys, [now, *args], loop.create_future())
        self._waiting.append(run)
        if self._sending is None or self._sending.done():
            self._sending = loop.create_task(self._send())
        return await run.said

    async def cool(self, key: str, cooling: Cooling) -> float:
        """Leave a model alone; return for how many seconds."""
        args = [
            cooling.length_s,
            cooling.longest_s,
            int(cooling.asked),
            cooling.kind.value,
            int(cooling.probation),
        ]
        return float(await self.run("cool", [key], args))

    async def _send(self) -> None:
        while self._waiting:
            runs, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            for run, said in zip(runs, await self._outcomes(runs), strict=True):
                if run.said.done():
                    continue
                if isinstance(said, Exception):
                    run.said.set_exception(said)
                else:
                    run.said.set_result(said)

    async def _outcomes(self, runs: list[_Run]) -> list[Any]:
        try:
            said = await self._execute(runs)
            unknown = [place for place, outcome in enumerate(said) if isinstance(outcome, NoScriptError)]
            if unknown:
                for name in {runs[place].name for place in unknown}:
                    await self._client.script_load(_source(name))
                again = await self._execute([runs[place] for place in unknown])
                for place, outcome in zip(unknown, again, strict=True):
                    said[place] = outcome
        except RedisError as error:
            return [error] * len(runs)
        return said

    async def _execute(self, runs: list[_Run]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for run in runs:
            pipe.evalsha(_sha(run.name), len(run.keys), *run.keys, *run.args)
        return await pipe.execute(raise_on_error=False)
