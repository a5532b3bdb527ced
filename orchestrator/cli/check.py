"""`firstline check`: what is wrong with skills, workflows, profiles and job files."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Set up"


def check(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A file or folder; else all that is built in or yours.")
    ] = None,
) -> None:
    """Check skills, workflows, profiles and job files; each fault with its file, line and field."""
    from firstline.config.catalogue.check import check_path
    from firstline.orchestrator.cli import USAGE

    report = check_path(path)
    for problem in report.problems:
        typer.echo(str(problem), err=True)
    for note in report.notes:
        typer.echo(note)
    typer.echo(report.summary)
    if not report.ok:
        raise typer.Exit(USAGE)
