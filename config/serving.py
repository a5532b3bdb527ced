"""Running a Celery worker inside our own process."""

import os
from collections.abc import Sequence

from celery import Celery

from config.app import queue
from config.settings import Settings


def serve(app: Celery, settings: Settings, *, queues: Sequence[str], threads: int) -> None:
    """Consume queues on a pool of threads until the process is told to stop.

    Celery's command line is left out: importing it (and Flower's and pygments' with it) takes seconds.
    """
    app.conf.task_queues = [queue(settings, name) for name in queues]
    worker = app.Worker(
        hostname=f"{'-'.join(queues)}.{os.getpid()}@{os.uname().nodename}",
        pool="threads",
        concurrency=threads,
        loglevel=settings.log_level,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    worker.start()
