"""`firstline students`: the classifiers that jobs trained for themselves, and what they answered."""

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Quality"


def students(as_json: Json = False) -> None:
    """List students: what they learnt from and answered, how often audits found them wrong, why one is off."""
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.quality.students.listing import standings, table

    found = standings()
    if as_json:
        show_json(found)
    elif not found:
        typer.echo("no students yet; a profile with a tier of kind `student` has jobs with closed answers train them")
    else:
        columns, rows = table(found)
        show_table(columns, rows, right=("labels", "answered", "audits", "wrong"))
