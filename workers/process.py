"""A worker process: its Celery worker on threads, its one loop, its signs of life, and a stop that hands work back."""

import argparse
import logging
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from celery import signals

from config.app import make_app, queue
from config.logs import configure
from config.redis import connect_async
from config.settings import Settings, get_settings
from schemas.errors import UserError
from workers.gate import Gate
from workers.gateway import Gateway
from workers.heart import Heart
from workers.loop import Loop
from workers.paid import PaidAnswers
from workers.recording import RecordingGateway
from workers.tasks import register
from workers.worker import Worker

_log = logging.getLogger(__name__)


@dataclass
class WorkerProcess:
    """The composition root of a worker."""

    settings: Settings
    loop: Loop
    worker: Worker
    heart: Heart


def assemble(settings: Settings, *, queues: tuple[str, ...], threads: int, record: Path | None) -> WorkerProcess:
    """Return a worker whose gateway is loaded."""
    loop = Loop()
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"

    async def make() -> Worker:
        client = connect_async(settings.redis_url)
        return Worker(
            name=name,
            gateway=_gateway(record),
            client=client,
            keys=settings.keys,
            paid=PaidAnswers(client, settings.keys),
            gate=Gate(client=client, keys=settings.keys),
        )

    worker = loop.run(make())
    heart = Heart(worker=worker, loop=loop, settings=settings, queues=queues, threads=threads)
    return WorkerProcess(settings, loop, worker, heart)


def _gateway(record: Path | None) -> Gateway:
    from workers.litellm_gateway import load

    gateway = load()
    return gateway if record is None else RecordingGateway(gateway, record)


def main(argv: list[str] | None = None) -> int:
    """Run a worker until it is told to stop; return the exit code."""
    options = _options(argv)
    settings = get_settings()
    configure(settings)
    try:
        app = make_app(settings)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    process = assemble(settings, queues=tuple(options.queue), threads=options.threads, record=options.record)
    register(app, process)
    app.conf.task_queues = [queue(settings, name) for name in options.queue]
    signals.worker_ready.connect(lambda **_: process.heart.start(), weak=False)
    signals.worker_shutting_down.connect(lambda **_: process.heart.hand_back(), weak=False)
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={options.threads}",
            f"--hostname={'-'.join(options.queue)}.{os.getpid()}@%h",
            f"--loglevel={settings.log_level}",
            "--without-mingle",
            "--without-gossip",
        ]
    )
    process.heart.stop()
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="firstline worker", description=__doc__)
    parser.add_argument("--queue", action="append", required=True, help="queue of a tier; may be given more than once")
    parser.add_argument("--threads", type=int, default=24, help="batches held at once (default 24)")
    parser.add_argument("--record", type=Path, help="append the providers' answers to this file, for replay")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
