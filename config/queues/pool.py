"""The threads that messages are worked on: whatever comes of a message, its slot is given back."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from billiard.einfo import ExceptionInfo  # type: ignore[import-untyped]
from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool

from firstline.config.queues.memory import Growth

_log = logging.getLogger(__name__)


class Threads(TaskPool):  # type: ignore[misc] # celery has no types
    """Celery's pool of threads, but for one thing: a slot that was taken is always given back.

    A task that fails while Redis is away fails once more where Celery notes its failure. What that raises ends in a
    future which nobody reads, and the message counts as being worked on for ever.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._growth = Growth()

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[[object], object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        **_: Any,
    ) -> ApplyResult:
        """Work on a message on one of the threads."""
        return ApplyResult(self.executor.submit(self._work, target, args, kwargs or {}, callback, accept_callback))

    def _work(self, *given: Any) -> None:
        _work(*given)
        self._growth.look()


def _work(
    target: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    callback: Callable[[object], object] | None,
    accept_callback: Callable[..., object] | None,
) -> None:
    try:
        apply_target(target, args, kwargs, callback, accept_callback)
    except BaseException as error:
        _log.error("slot.failed", extra={"error": repr(error)})
        if callback is not None:
            # As Celery itself tells of a task that failed: whether it did, what it raised, the seconds that it took.
            callback((1, ExceptionInfo(), 0.0))
