"""`firstline results`: what the items came to."""

from typing import Annotated, Literal

import typer

from firstline.orchestrator.cli._options import Job, Out

PANEL = "Jobs"


def results(
    job: Job,
    out: Out = None,
    kind: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="By the file's name, else jsonl, when missing.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV cells as they are, although a spreadsheet may run some as formulas.")
    ] = False,
    bom: Annotated[bool, typer.Option("--bom", help="CSV with the mark by which Excel knows UTF-8.")] = False,
) -> None:
    """Write a job's results, a line per item, to stdout or a file; also while it runs."""
    from firstline.orchestrator import api
    from firstline.orchestrator.reports.results_file import CsvStyle, ResultFormat, write_results

    written = write_results(api.results(job), out, ResultFormat(kind) if kind else None, CsvStyle(raw, bom))
    if out and out != "-":
        typer.echo(f"{written} items: {out}", err=True)
