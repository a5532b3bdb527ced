"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id; `firstline jobs` lists them.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")]
Target = Annotated[
    str | None,
    typer.Argument(metavar="[JOBFILE_OR_WORKFLOW]", help="A job file, or a workflow or skill by name or path."),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE",
        help="The items: CSV, JSONL, a JSON array, a folder of text files, or - for stdin.",
    ),
]
IdField = Annotated[
    str | None, typer.Option("--id-field", metavar="COLUMN", help="Where items' ids stand; `id`, else their position.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Take a field from another column; may be given again."),
]
ProfileName = Annotated[
    str | None, typer.Option("--profile", "-p", metavar="NAME_OR_FILE", help="The ladder of models to use.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Only the first so many items.")]
Budget = Annotated[
    float | None, typer.Option("--budget", metavar="USD", help="Pause before this many dollars would be exceeded.")
]
Goal = Annotated[
    str | None, typer.Option("--goal", metavar="TEXT", help="What is wanted, in plain words, instead of a workflow.")
]
Out = Annotated[
    str | None, typer.Option("--out", "-o", metavar="FILE", help="Write a JSON line (.csv: a row) per item.")
]
Gold = Annotated[str | None, typer.Option("--gold", metavar="FIELD", help="Item field with the right answer.")]
Field = Annotated[str | None, typer.Option("--field", help="Part of the output that is compared.")]
Compare = Annotated[
    str | None, typer.Option("--compare", help="exact, number, set_f1 or a function as module:function.")
]
FailOver = Annotated[
    str,
    typer.Option(
        "--fail-over", metavar="SHARE", help="Exit with 1 when more than this share of items failed: 0.05 or 5%."
    ),
]
Record = Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Keep the models' answers for replay.")]


def parse_share(text: str) -> float:
    """Return a share of 1 from `0.05` or `5%`; UserError for anything else."""
    from firstline.schemas.errors import UserError

    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or rest:
        raise UserError(f"--fail-over: expected a share such as 0.05 or 5%, got '{text}'")
    return share
