"""The pages beside a run: opened at its job, and there until somebody has seen enough."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import typer


@contextmanager
def pages(wanted: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield what opens a job's page; None where that is not wanted.

    Where FIRSTLINE_WEB_URL names the pages they are opened there, else they are served from here; at the end of the
    block they stay until Ctrl-C, for as long as somebody sits at the terminal.
    """
    if not wanted:
        yield None
        return
    with ExitStack() as stack:
        own: list[str] = []

        def show(job: str) -> None:
            import webbrowser

            from firstline.config.settings import get_settings

            address = get_settings().web_url
            if address is None:
                from firstline.orchestrator.web.serving import served_aside

                own.append(address := stack.enter_context(served_aside()))
            url = f"{address.rstrip('/')}/jobs/{job}"
            typer.echo(f"its page: {url}", err=True)
            webbrowser.open(url)

        try:
            yield show
        except typer.Exit:
            _stay(own)
            raise
        _stay(own)


def _stay(own: list[str]) -> None:
    if own and sys.stdin.isatty():
        typer.echo(f"the pages stay at {own[0]} until Ctrl-C", err=True)
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)
