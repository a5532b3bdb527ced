"""`firstline check`: what is wrong with skills, workflows, profiles and job files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from firstline.config.catalogue.check import CheckReport

PANEL = "Set up"


def check(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A file or folder; else all that is built in or yours.")
    ] = None,
) -> None:
    """Check skills, workflows, profiles and job files; each fault with its file, line and field.

    A job file's input is read too: whether it can be, and whether it has the fields that the job's workflow reads.
    """
    from firstline.config.catalogue.check import check_path
    from firstline.orchestrator.cli import USAGE

    report = check_path(path)
    for problem in report.problems:
        typer.echo(str(problem), err=True)
    for note in report.notes:
        typer.echo(note)
    misfits = list(_misfits(report))
    for misfit in misfits:
        typer.echo(misfit, err=True)
    typer.echo(f"{report.summary}{f', {len(misfits)} with an input that will not do' if misfits else ''}")
    if misfits or not report.ok:
        raise typer.Exit(USAGE)


def _misfits(report: "CheckReport") -> Iterator[str]:
    """Yield what is wrong with the inputs of job files that are in order themselves; print what is worth a note."""
    from firstline.orchestrator.submission.run_request import Wishes, read_order
    from firstline.schemas.errors import UserError

    wrong = {problem.file for problem in report.problems}
    for file in report.jobs:
        if file in wrong:
            continue
        order = read_order(str(file), Wishes(preview=True))
        if order.source in (None, "-"):
            continue
        try:
            with order.checked() as usable:
                for note in usable.notes:
                    typer.echo(f"{file}: {note}")
        except UserError as error:
            yield f"{file}: {error}"
