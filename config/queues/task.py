"""Celery's task as Firstline uses it: monitors see the labels of messages, never what messages carry."""

from typing import Any

from celery import Task
from celery.canvas import Signature
from celery.worker.request import Request


class LabelledTask(Task):  # type: ignore[misc] # celery has no types
    """A task whose messages keep their label when they are tried again, and whose answers stay out of events."""

    Request = "firstline.config.queues.task:Discreet"

    def signature_from_request(self, request: Any = None, *arguments: Any, **named: Any) -> Signature:
        """Return the message of another try; left alone, Celery would show the arguments in place of the label."""
        message = super().signature_from_request(request, *arguments, **named)
        label = getattr(self.request if request is None else request, "argsrepr", None)
        return message.set(argsrepr=label or "(...)")


class Discreet(Request):  # type: ignore[misc] # celery has no types
    """A message whose answer is not shown: it holds what models said of the items."""

    def send_event(self, type: str, **fields: Any) -> None:
        """Tell monitors what happened, but for the answer."""
        fields.pop("result", None)
        super().send_event(type, **fields)
