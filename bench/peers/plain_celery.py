"""A Celery app as the tutorials have it: one litellm call a task, a chord over all, a pool of threads."""

import subprocess
import sys
import time
from pathlib import Path

from celery import Celery, chord
from common import WARM, Task, clocked, know, label_of, read_task

app = Celery("plain_celery")
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, broker_connection_retry_on_startup=True)


@app.task(name="ask")
def ask(request: dict) -> str:
    import litellm

    if request["model"] not in litellm.model_cost:
        know(request["model"])
    return label_of(litellm.completion(**request))


@app.task(name="collect")
def collect(labels: list) -> list:
    return labels


def main() -> None:
    task = read_task()
    app.conf.update(broker_url=task.redis, result_backend=task.redis)
    command = [sys.executable, "-m", "celery", "-A", "plain_celery", "-b", task.redis, "--result-backend", task.redis]
    command += ["worker", "-P", "threads", "-c", str(task.at_once), "-l", "ERROR"]
    worker = subprocess.Popen(command, cwd=Path(__file__).parent, stdout=subprocess.DEVNULL)
    try:
        _ask_all(task, task.calls, WARM)
        clocked(lambda: _ask_all(task, 0, task.calls), task.calls, worker=worker.pid)
    finally:
        worker.terminate()
        worker.wait(30)


def _ask_all(task: Task, first: int, count: int) -> list:
    waiting = chord(ask.s(task.request(first + n)) for n in range(count))(collect.s())
    while not waiting.ready():
        time.sleep(0.05)
    return waiting.get()


if __name__ == "__main__":
    main()
