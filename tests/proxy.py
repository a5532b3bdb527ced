"""A way to a server that can be cut, closed, led elsewhere, or swallow whatever is sent."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from typing import Any

from tests.servers import free_port

_CHUNK = 65536


class Proxy:
    """Passes connections on to a local port, until it is told otherwise; safe to call from any thread."""

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        """Lead to a port; with `tls`, whoever comes speaks TLS with the proxy."""
        self.port = free_port()
        self._tls = tls
        self._target = target
        self._swallows = False
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    @property
    def url(self) -> str:
        """Redis's URL by this way."""
        return f"redis{'s' if self._tls else ''}://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Begin to pass on."""
        self._thread.start()
        self._run(self._open())

    def stop(self) -> None:
        """Cut everything and end."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)

    def refuse(self) -> None:
        """Cut all connections and refuse new ones."""
        self._run(self._close())

    def accept(self) -> None:
        """Take connections again."""
        self._run(self._open())

    def lead_to(self, target: int) -> None:
        """Cut all connections and lead new ones to another port."""
        self._target = target
        self._run(self._cut())

    def swallow(self) -> None:
        """Let nothing through, either way, without a word; what is connected now or meanwhile stays so for ever."""
        self._swallows = True
        for link in tuple(self._links):
            link.is_dead = True

    def pass_on(self) -> None:
        """Let new connections through again."""
        self._swallows = False

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024, ssl=self._tls)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        links = set(self._links)
        for link in links:
            link.cut()
        while links & self._links:
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, is_dead=self._swallows)
        self._links.add(link)
        try:
            if link.is_dead:
                await link.drain(reader)
            else:
                await link.carry(reader, self._target)
        except OSError:
            pass
        finally:
            link.cut()
            self._links.discard(link)


class _Link:
    """One connection through a proxy."""

    def __init__(self, near: asyncio.StreamWriter, *, is_dead: bool) -> None:
        self._writers = [near]
        self.is_dead = is_dead

    async def carry(self, reader: asyncio.StreamReader, target: int) -> None:
        """Pass both ways on until either side ends."""
        far, writer = await asyncio.open_connection("127.0.0.1", target)
        near = self._writers[0]
        self._writers.append(writer)
        ways = [asyncio.ensure_future(self._pass(reader, writer)), asyncio.ensure_future(self._pass(far, near))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    async def drain(self, reader: asyncio.StreamReader) -> None:
        """Read what comes until its sender has enough."""
        while await reader.read(_CHUNK):
            pass

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if not self.is_dead:
                writer.write(data)
                await writer.drain()

    def cut(self) -> None:
        """Reset both sides."""
        for writer in self._writers:
            writer.transport.abort()
