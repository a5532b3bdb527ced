"""The Lua scripts that run inside Redis, each whole or not at all."""

from functools import cache
from importlib.resources import files
from typing import Any

import redis.asyncio


@cache
def _source(name: str) -> str:
    return files("workers").joinpath("lua", f"{name}.lua").read_text("utf-8")


class Scripts:
    """The scripts as coroutines of one client; Redis keeps their text, and gets it again where it was lost."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._registered = {
            name: client.register_script(_source(name)) for name in ("reserve", "settle", "renew", "cool")
        }

    async def run(self, name: str, keys: list[str], args: list[str | int | float]) -> Any:
        """Run one script."""
        return await self._registered[name](keys=keys, args=args)  # type: ignore[no-untyped-call]
