"""Prefect: a flow maps a task over the items on threads; the flow's own temporary server keeps the records."""

import os
import tempfile

home = tempfile.mkdtemp(prefix="prefect-bench-")
os.environ.update(PREFECT_HOME=home, PREFECT_LOGGING_LEVEL="ERROR", PREFECT_SERVER_ANALYTICS_ENABLED="false")
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "120"

from common import WARM, clocked, label_of, read_task  # noqa: E402
from prefect import flow, task  # noqa: E402
from prefect.server.api.server import SubprocessASGIServer  # noqa: E402
from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: E402
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402

told = read_task()


@task
def ask(n: int) -> str:
    import litellm

    return label_of(litellm.completion(**told.request(n)))


@flow(task_runner=ThreadPoolTaskRunner(max_workers=told.at_once))
def ask_all(first: int, count: int) -> list:
    return ask.map(range(first, first + count)).result()


def main() -> None:
    # One server for both flows: what it keeps of each task is part of what Prefect does.
    with SubprocessASGIServer() as server, temporary_settings({PREFECT_API_URL: server.api_url}):
        ask_all(told.calls, WARM)
        clocked(lambda: ask_all(0, told.calls), told.calls, beside=[server.server_process.pid])


if __name__ == "__main__":
    main()
