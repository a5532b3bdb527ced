"""`firstline results`: what the items came to."""

from typing import Annotated, Literal

import typer

from firstline.orchestrator.cli._options import Job, Out

PANEL = "Jobs"


def results(
    job: Job,
    *,
    out: Out = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only items that failed.")] = False,
    tier: Annotated[str | None, typer.Option("--tier", "-t", help="Only items that ended on this tier.")] = None,
    fields: Annotated[
        str | None, typer.Option("--fields", metavar="A,B.C", help="Only these, such as item_id,output.label,cost_usd.")
    ] = None,
    kind: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="By the file's name, else jsonl, when missing.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV cells as they are, although a spreadsheet may run some as formulas.")
    ] = False,
    bom: Annotated[bool, typer.Option("--bom", help="CSV with the mark by which Excel knows UTF-8.")] = False,
) -> None:
    """Write a job's results, a line per item, to stdout or a file; also while it runs."""
    from firstline.config.catalogue.collection import unknown
    from firstline.orchestrator import api
    from firstline.orchestrator.reports.results_file import CsvStyle, ResultFormat, parse_fields, write_results
    from firstline.schemas.errors import UserError
    from firstline.schemas.job import ItemState

    wanted = parse_fields(fields)
    if tier is not None and tier not in (known := [one.name for one in api.profile(job).tiers] + ["tools"]):
        raise UserError(unknown("tier of this job", tier, known))
    found = (
        result
        for result in api.results(job)
        if (not failed or result.status is ItemState.FAILED) and tier in (None, result.tier)
    )
    written = write_results(found, out, ResultFormat(kind) if kind else None, CsvStyle(raw, bom), fields=wanted)
    if out and out != "-":
        typer.echo(f"{written} items: {out}", err=True)
