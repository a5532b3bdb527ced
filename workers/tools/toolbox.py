"""The tools of a worker's batches: bound once, called on threads of their own, each call within hard limits."""

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pydantic_core import to_json

from firstline.schemas.base import JsonObject
from firstline.schemas.errors import UserError
from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.tools import isolate
from firstline.workers.tools.base import BoundTool, Place, failed, mismatches
from firstline.workers.tools.registry import build

#: Calls of tools at once in one worker process; each is a process of its own, so more would only share the cores.
THREADS = 16
#: Seconds after which an MCP server is asked again what it offers.
_KNOWN_S = 300.0
_ROOM = 64

Tools = Mapping[str, BoundTool]


class Toolbox:
    """Binds declared tools and calls them; lives on one loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="firstline-tool")
        self._known: dict[bytes, tuple[float, asyncio.Task[Tools]]] = {}

    async def bound(
        self, specs: Mapping[str, ToolSpec], place: Place, options: Mapping[str, Any] | None = None
    ) -> Tools:
        """Return declared tools by name, an MCP server as all that it offers; UserError as `registry.build` has it."""
        key = to_json([specs, place, options])
        known = self._known.get(key)
        if known is None or known[0] < time.monotonic():
            if len(self._known) >= _ROOM:
                self._known.pop(next(iter(self._known)))
            task = asyncio.get_running_loop().create_task(self._bind(specs, place, options))
            known = self._known[key] = (time.monotonic() + _KNOWN_S, task)
        try:
            # Whoever is cancelled while waiting leaves the answer to the others.
            return await asyncio.shield(known[1])
        except UserError:
            self._known.pop(key, None)
            raise

    async def call(
        self, tool: BoundTool, arguments: JsonObject, *, options: Mapping[str, Any] | None = None
    ) -> ToolResult:
        """Return a tool's answer; every failure is `ToolResult.error`. Cancelling it ends the call's process.

        `options` come from a declared step; a model can set none.
        """
        if wrong := mismatches(arguments, tool.parameters):
            return failed("the arguments do not fit: " + "; ".join(wrong))
        stop = threading.Event()
        run = partial(isolate.run, tool.spec, arguments, options=options, place=tool.place, stop=stop)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, run)
        except asyncio.CancelledError:
            stop.set()
            raise
        except UserError as error:
            return failed(str(error))

    async def _bind(self, specs: Mapping[str, ToolSpec], place: Place, options: Mapping[str, Any] | None) -> Tools:
        def bind() -> Tools:
            return build(isolate.discover(specs, place), place, options)

        return await asyncio.get_running_loop().run_in_executor(self._threads, bind)
