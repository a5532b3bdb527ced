"""A simulator on a thread of this process, for tests of workflows."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from firstline.schemas.errors import InfrastructureError
from firstline.workers.simulator.script import Script
from firstline.workers.simulator.server import build_app, listen, server_config


@contextmanager
def running(script: Script, *, log: Path | None = None) -> Iterator[str]:
    """Play a script on a free port while the block runs; yields the server's URL, such as `http://127.0.0.1:40123`."""
    with serving(build_app(script, log)) as url:
        yield url


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port while the block runs; yields its URL."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(server_config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
    thread.start()
    try:
        _wait_until_started(server)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listener.close()


def _wait_until_started(server: uvicorn.Server, within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not server.started:
        if time.monotonic() > until:
            raise InfrastructureError(f"the simulator did not start within {within_s:g} s")
        time.sleep(0.01)
