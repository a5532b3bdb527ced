"""A worker process: its Celery worker on threads, its one loop, its signs of life, and a stop that hands work back."""

import firstline.config.queues.startup  # noqa: F401 # before all others, see there

# isort: split

import argparse
import logging
import os
import secrets
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from celery import signals

from firstline.config.queues.app import make_app
from firstline.config.queues.serving import serve
from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import Settings, get_settings
from firstline.config.shared_state.redis import connect_async, expect_allowed
from firstline.config.telemetry.logs import configure
from firstline.config.telemetry.tracing import make_tracer
from firstline.schemas.errors import UserError
from firstline.workers.durability.paid_answers import PaidAnswers
from firstline.workers.estimates.call_estimate import Estimator
from firstline.workers.heartbeat import Heart
from firstline.workers.limits.gate import Gate
from firstline.workers.loop.event_loop import Loop
from firstline.workers.providers.litellm_gateway import LitellmGateway, load
from firstline.workers.providers.mode_memory import ModeStore
from firstline.workers.providers.recording import RecordingGateway
from firstline.workers.rules import user_functions
from firstline.workers.rules.function_hosts import FunctionHosts
from firstline.workers.tasks import register
from firstline.workers.worker import Worker

_log = logging.getLogger(__name__)

Load = Callable[[], LitellmGateway]


@dataclass
class WorkerProcess:
    """The composition root of a worker."""

    settings: Settings
    loop: Loop
    worker: Worker
    heart: Heart


def assemble(
    settings: Settings, *, queues: tuple[str, ...], threads: int, record: Path | None, load: Load = load
) -> WorkerProcess:
    """Return a worker whose gateway is loaded."""
    loop = Loop()
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"

    async def make() -> Worker:
        client = connect_async(settings.redis_url)
        gateway = load()
        loop.spare_threads(gateway.never_waits)
        gateway.modes.store = ModeStore(client, settings.keys)

        return Worker(
            name=name,
            gateway=gateway if record is None else RecordingGateway(gateway, record),
            client=client,
            keys=settings.keys,
            paid=PaidAnswers(client, settings.keys),
            gate=Gate(client=client, keys=settings.keys, prove=gateway.call),
            estimator=Estimator(),
            batch_api=gateway.batch_api,
            tracer=make_tracer(settings, service="firstline-worker"),
        )

    worker = loop.run(make())
    heart = Heart(worker=worker, loop=loop, settings=settings, queues=queues, threads=threads)
    return WorkerProcess(settings, loop, worker, heart)


def main(argv: list[str] | None = None, *, load: Load = load) -> int:
    """Run a worker until it is told to stop; return the exit code. `load` gives its gateway (for benches)."""
    options = _options(argv)
    settings = get_settings()
    configure(settings)
    try:
        app = make_app(settings)
        expect_allowed(settings.redis_url, settings.keys)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    user_functions.run_by(FunctionHosts())
    process = assemble(settings, queues=tuple(options.queue), threads=options.threads, record=options.record, load=load)
    register(app, process)
    signals.worker_ready.connect(lambda **_: process.heart.start(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: process.heart.hand_back(), weak=False)
    watch = SlotWatch(settings.visibility_timeout_s)
    exit_code = serve(app, settings, queues=tuple(options.queue), threads=options.threads, watch=watch)
    process.heart.stop()
    return exit_code


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="firstline worker", description=__doc__)
    parser.add_argument("--queue", action="append", required=True, help="queue of a tier; may be given more than once")
    parser.add_argument("--threads", type=int, default=64, help="batches held at once (default 64)")
    parser.add_argument("--record", type=Path, help="append the providers' answers to this file, for replay")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
