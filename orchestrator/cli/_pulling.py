"""Downloads local models under a progress bar."""

from collections.abc import Sequence

import typer

from firstline.orchestrator.cli._show import show_fields


def pull_all(names: Sequence[str], *, as_json: bool) -> None:
    """Pull the named models, or all that are known; prints where each one is."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from firstline.config.settings import get_settings
    from firstline.workers.local_models.catalogue import CATALOGUE
    from firstline.workers.local_models.pull import pull

    pulled: dict[str, object] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    for name in names or CATALOGUE:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=None)

            def show(doing: str, done: int, total: int | None) -> None:
                bar.update(task, description=doing, completed=done, total=total)  # noqa: B023 -- called within the loop

            path = pull(name, home=get_settings().models_home, progress=show)
        pulled[name] = path
        if not as_json:
            typer.echo(f"{name}: {path}")
    if as_json:
        show_fields(as_json, "", **pulled)
