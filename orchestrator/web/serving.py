"""The web process: listens on loopback only while no token is configured, and says so."""

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from firstline.config.queues.memory import leave_alone
from firstline.config.settings import get_settings
from firstline.config.telemetry.logs import configure
from firstline.orchestrator import api
from firstline.orchestrator.core import tokens
from firstline.orchestrator.core.loopback import is_loopback
from firstline.orchestrator.web.app import make_app
from firstline.orchestrator.web.heads import BoundedHeads
from firstline.schemas.errors import UserError

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
#: Seconds between two looks for a first token.
_LOOK_S = 1.0
#: Seconds that open connections (events, downloads) get to end when the server stops.
_GRACE_S = 5
#: Seconds that one thread may hold the others: what parses a large file must not keep those waiting who ask for little.
_SWITCH_S = 0.0001


def serve_until_stopped(host: str, port: int) -> None:
    """Serve on `host`; while there is no token, on loopback only. UserError when the address cannot be used."""
    settings = get_settings()
    configure(settings)
    sys.setswitchinterval(_SWITCH_S)
    is_open = settings.login_file is None and not tokens.exist(api.engine().db)
    if not is_loopback(host) and is_open:
        _say(f"no token is configured, so only this machine is served; `firstline token create` opens {host}")
        if not _serve(LOOPBACK, port, until_token=True):
            return
    if is_loopback(host) and is_open:
        _say("no token is configured: everyone on this machine may do everything; `firstline token create` ends that")
    _serve(host, port, until_token=False)


def _serve(host: str, port: int, *, until_token: bool) -> bool:
    """Serve until a signal, or (`until_token`) until there is a token; return whether it was the latter."""
    with listening(host, port) as listener:
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        app = make_app(get_settings(), loopback=is_loopback(host))
        config = uvicorn.Config(
            app,
            http=BoundedHeads,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = uvicorn.Server(config)
        token_came = threading.Event()
        if until_token:
            threading.Thread(target=_watch, args=(server, token_came), daemon=True).start()
        leave_alone()
        _say(f"Firstline serves on {address} (pages at /, API at /v1, description at /openapi.json)")
        server.run(sockets=[listener])
        return token_came.is_set()


@contextmanager
def served_aside() -> Iterator[str]:
    """Serve the pages to this machine from a thread, for the length of the block; yield their address."""
    with listening(LOOPBACK, 0) as listener:
        app = make_app(get_settings(), loopback=True)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_GRACE_S)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; UserError when it cannot be used."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --host or --port") from None


def _watch(server: uvicorn.Server, token_came: threading.Event) -> None:
    """Stop the server as soon as there is a token."""
    while not server.should_exit and not token_came.wait(_LOOK_S):
        if tokens.exist(api.engine().db):
            token_came.set()
            server.should_exit = True


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
