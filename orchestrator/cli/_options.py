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
Record = Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Keep the models' answers for replay.")]
