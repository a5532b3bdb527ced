"""Redis as the place where Celery counts the members of chords; nobody waits there for a result."""

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend


class Results(RedisBackend):  # type: ignore[misc] # celery has no types
    """Celery's Redis backend, but for one thing: who sends a message does not wait for what comes of it.

    Celery lets every sender of a message that leaves a result, or of a chord, subscribe to it, on one connection and
    under one lock of the process. Where Redis is away, that holds whoever sends for minutes. Results live in SQL.
    """

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Leave a message that was sent to itself."""

    def add_pending_result(self, result: Any, weak: bool = False, start_drainer: bool = True) -> Any:
        """Wait for nothing."""
        return result

    def remove_pending_result(self, result: Any) -> Any:
        """Forget what nobody waits for."""
        return result


class SentinelResults(Results, SentinelBackend):  # type: ignore[misc]
    """The same, on the server that Sentinels name."""
