"""Running a Celery worker inside our own process."""

import os
from collections.abc import Sequence
from contextlib import nullcontext

from celery import Celery

from firstline.config.queues.app import queue
from firstline.config.queues.liveness import pulse
from firstline.config.queues.memory import leave_alone
from firstline.config.queues.slot_watch import SlotWatch
from firstline.config.settings import Settings

#: The threads that messages are worked on.
POOL = "firstline.config.queues.pool:Threads"


def serve(app: Celery, settings: Settings, *, queues: Sequence[str], threads: int, watch: SlotWatch) -> int:
    """Consume queues on a pool of threads until the process is told to stop; return its exit code.

    A process whose slots are stuck by `watch` ends itself. Celery's command line is left out: importing it (and
    Flower's and pygments' with it) takes seconds.
    """
    # Who may read the messages of one queue only must not find those of others among what is unacknowledged.
    names = "+".join(sorted(queues))
    for option in ("unacked_key", "unacked_index_key", "unacked_mutex_key"):
        app.conf.broker_transport_options[option] += f".{names}"
    own = pulse(app, settings, threads=threads, watch=watch)
    app.conf.task_queues = [*(queue(settings, name) for name in queues), *([own.queue] if own else [])]
    worker = app.Worker(
        hostname=f"{'-'.join(queues)}.{os.getpid()}@{os.uname().nodename}",
        pool=POOL,
        concurrency=threads,
        loglevel=settings.log_level,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    leave_alone()
    with watch.watching(), own.beating() if own else nullcontext():
        worker.start()
    return int(worker.exitcode or 0)
