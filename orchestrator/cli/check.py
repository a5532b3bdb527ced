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
    *,
    explain: Annotated[
        bool, typer.Option("--explain", help="Of one workflow or job file: say where each step's policy comes from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check skills, workflows, profiles and job files; each fault with its file, line and field.

    A job file's input is read too: whether it can be, and whether it has the fields that the job's workflow reads.
    """
    from firstline.config.catalogue.check import check_path
    from firstline.orchestrator.cli import USAGE
    from firstline.orchestrator.cli._show import show_fields

    if explain and (path is None or path.is_dir()):
        raise typer.BadParameter("expected one workflow, skill or job file to explain")
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
    if explain and not as_json:
        _explain(str(path))


def _explain(target: str) -> None:
    """Print each step's policy field by field with who says it, and from which confidence on answers are accepted."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_table
    from firstline.orchestrator.plans.explain import bars_of, words_of
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    order = read_order(target, Wishes(preview=True))
    plan = api.preview(order.request.evolve(profile=order.profile))
    words = ((one.step, one.field, str(one.value), one.said_by) for one in words_of(plan))
    show_table(("step", "policy", "value", "said by"), words)
    bars = [
        (one.step, one.tier, one.model, "nothing" if one.value is None else f"{one.value:.4g}", one.why)
        for one in bars_of(plan)
    ]
    if bars:
        typer.echo()
        show_table(("step", "tier", "model", "accepts from", "why"), bars)


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
