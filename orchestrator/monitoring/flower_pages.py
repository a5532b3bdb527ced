"""What Firstline adds to Flower's pages: the way to a job's own page, and a door before its metrics."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flower.options import default_options as options
from flower.urls import handlers
from flower.views.monitor import Metrics
from flower.views.tasks import TaskView
from tornado import web
from tornado.escape import xhtml_escape

#: The job in a message's label.
_JOB = re.compile(r"\bjob=([0-9A-Za-z-]{1,40})(?![0-9A-Za-z-])")


class GuardedMetrics(Metrics):  # type: ignore[misc] # Flower has no types
    """Flower's own metrics, which it would show to everyone."""

    @web.authenticated
    async def get(self) -> None:
        """Show them to whoever may see the pages."""
        await super().get()


class LinkedTask(TaskView):  # type: ignore[misc] # Flower has no types
    """The page of one task, on which the address of its job is a link; Flower escapes whatever it shows."""

    def render_string(self, template_name: str, **values: Any) -> bytes:
        """Return the page."""
        page: bytes = super().render_string(template_name, **values)
        address = _address(values["task"].args) if template_name == "task.html" else None
        if address is None:
            return page
        shown = xhtml_escape(address)
        return page.replace(shown.encode(), f'<a href="{shown}">{shown}</a>'.encode(), 1)


def adapt(web_url: str | None) -> None:
    """Change Flower's pages before it starts; `web_url` is where the pages of jobs are, if anywhere."""
    ours = {Metrics: GuardedMetrics} | ({TaskView: LinkedTask} if web_url else {})
    handlers[:] = [_with(handler, ours) for handler in handlers]
    # `FLOWER_TASKS_COLUMNS` is read later.
    options.tasks_columns = "name,args,state,received,runtime,worker,uuid"
    if web_url:
        options.format_task = with_job_page(web_url)


def with_job_page(web_url: str) -> Callable[[Any], Any]:
    """Return Flower's `format_task`: it puts the address of the job's page behind a task's arguments."""

    def shown(task: Any) -> Any:
        if found := _JOB.search(task.args or ""):
            task.args = f"{task.args} {job_page(web_url, found[1])}"
        return task

    return shown


def job_page(web_url: str, job: str) -> str:
    """Return the address of a job's page."""
    return f"{web_url.rstrip('/')}/jobs/{quote(job)}"


def _address(shown: str | None) -> str | None:
    found = re.search(r" (https?://\S+)$", shown or "")
    return found[1] if found else None


def _with(handler: Any, ours: dict[type, type]) -> Any:
    if isinstance(handler, tuple):
        return (handler[0], ours.get(handler[1], handler[1]), *handler[2:])
    target = ours.get(handler.handler_class)
    return handler if target is None else web.url(handler.regex.pattern, target, handler.kwargs, handler.name)
