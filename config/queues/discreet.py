"""A message in a worker as monitors see it: what came of it is for its receiver alone."""

from typing import Any

from celery.worker.request import Request


class Discreet(Request):  # type: ignore[misc] # celery has no types
    """A message whose answer is not shown: it holds what models said of the items."""

    def send_event(self, type: str, **fields: Any) -> None:
        """Tell monitors what happened, but for the answer."""
        fields.pop("result", None)
        super().send_event(type, **fields)
