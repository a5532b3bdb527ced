"""`firstline results`: what the items came to."""

from typing import Annotated

import typer

from orchestrator.cli._options import Job, Out
from orchestrator.results_file import ResultFormat

PANEL = "Jobs"


def results(
    job: Job,
    out: Out = None,
    kind: Annotated[ResultFormat | None, typer.Option("--format", help="Default: by the file's name, else jsonl.")] = None,
) -> None:
    """Write a job's results, a line per item, to stdout or a file; also while it runs."""
    from orchestrator import api
    from orchestrator.results_file import write_results

    written = write_results(api.results(job), out, kind)
    if out and out != "-":
        typer.echo(f"{written} items: {out}", err=True)
