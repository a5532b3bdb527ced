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
) -> None:
    """Write a job's results, a line per item, to stdout or a file; also while it runs."""
    from firstline.orchestrator import api
    from firstline.orchestrator.reports.results_file import ResultFormat, write_results

    written = write_results(api.results(job), out, ResultFormat(kind) if kind else None)
    if out and out != "-":
        typer.echo(f"{written} items: {out}", err=True)
