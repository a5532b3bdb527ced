"""`firstline check`: what is wrong with skills, workflows, profiles and job files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Json

if TYPE_CHECKING:
    from firstline.config.catalogue.check import CheckReport

PANEL = "Set up"


def check(
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="A file or folder; else all that is built in or yours.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check skills, workflows, profiles and job files; each fault with its file, line and field.

    A job file's input is read too: whether it can be, and whether it has the fields that the job's workflow reads.
    """
    from firstline.config.catalogue.check import check_path
    from firstline.orchestrator.cli import USAGE
    from firstline.orchestrator.cli._show import show_fields

    report = check_path(path)
    fits = list(_fits(report))
    misfits = [text for text, fits_in in fits if not fits_in]
    notes = [*report.notes, *(text for text, fits_in in fits if fits_in)]
    summary = f"{report.summary}{f', {len(misfits)} with an input that will not do' if misfits else ''}"
    problems = [*map(str, report.problems), *misfits]
    for line in () if as_json else problems:
        typer.echo(line, err=True)
    show_fields(as_json, "\n".join([*notes, summary]), summary=summary, problems=problems, notes=notes)
    if misfits or not report.ok:
        raise typer.Exit(USAGE)


def _fits(report: "CheckReport") -> Iterator[tuple[str, bool]]:
    """Yield what there is to say of the inputs of job files that are in order themselves, and whether they will do."""
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
                yield from ((f"{file}: {note}", True) for note in usable.notes)
        except UserError as error:
            yield f"{file}: {error}", False
