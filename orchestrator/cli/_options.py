"""Arguments and options that several commands share."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer


def dollars_above_zero(usd: float | None) -> float | None:
    """Return an amount that a person gave; UserError for what is no amount."""
    from firstline.schemas.errors import UserError

    if usd is not None and not 0 < usd < math.inf:
        raise UserError(f"expected dollars above 0, such as 2.50, got {usd:g}; leave the option out for no cap")
    return usd


def finite(usd: float | None) -> float | None:
    """Return an amount that may be 0; UserError for what is no number."""
    from firstline.schemas.errors import UserError

    if usd is not None and not math.isfinite(usd):
        raise UserError(f"expected dollars, such as 2.50, got {usd:g}; `--off` lifts a cap")
    return usd


def _job_ids(incomplete: str) -> list[tuple[str, str]]:
    """Return the newest jobs for a shell that completes: what begins so, with its name and state."""
    from firstline.orchestrator import api

    known = api.jobs(200)
    return [(one.job, f"{one.name}, {one.state_in_words}") for one in known if one.job.startswith(incomplete)]


Job = Annotated[
    str,
    typer.Argument(metavar="JOB", help="The job's id; `firstline jobs` lists them.", autocompletion=_job_ids),
]
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
        help="The items: CSV, JSONL, a JSON array, Parquet, Excel, a pattern of such files, a URL of one, "
        "a database's URL with ?query=SELECT ..., a folder of text files, or - for stdin.",
    ),
]
SinceLast = Annotated[
    bool,
    typer.Option(
        "--since-last",
        help="Rows that an earlier job answered, by the same skill, models and certificates, take over that answer.",
    ),
]
Sql = Annotated[
    Path | None,
    typer.Option("--sql", metavar="FILE", help="The query whose rows are the items; --input names the database."),
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
    float | None,
    typer.Option(
        "--budget",
        metavar="USD",
        callback=dollars_above_zero,
        help="Pause before this many dollars would be exceeded.",
    ),
]
Goal = Annotated[
    str | None, typer.Option("--goal", metavar="TEXT", help="What is wanted, in plain words, instead of a workflow.")
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Write the results: .jsonl, .csv, .parquet, .xlsx, or a database's URL with ?table=NAME.",
    ),
]
Shape = Annotated[
    Literal["flat", "nested"] | None,
    typer.Option(
        "--format",
        help="flat: the input's columns, one for each field of the output, then tier, confidence, cost and reason; "
        "nested: the result alone. Tables are flat and JSON lines nested when missing.",
    ),
]
Raw = Annotated[bool, typer.Option("--raw", help="Cells as they are, although a spreadsheet may run some as formulas.")]
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
