"""`firstline results`: what the items came to."""

from typing import Annotated, Literal

import typer

from firstline.orchestrator.cli._options import Job, Out, Raw, Shape

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
    shape: Shape = None,
    kind: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--as", help="By the file's name, else jsonl, when missing.")
    ] = None,
    raw: Raw = False,
    bom: Annotated[bool, typer.Option("--bom", help="CSV with the mark by which Excel knows UTF-8.")] = False,
) -> None:
    """Write a job's results, a line per item, to stdout or a file; also while it runs."""
    from firstline.config.errors.error_messages import unknown
    from firstline.orchestrator import api
    from firstline.orchestrator.results.outlet import Form, shown_out, write_results
    from firstline.orchestrator.results.outlet import Shape as Shapes
    from firstline.orchestrator.results.results_file import CsvStyle, ResultFormat, parse_fields
    from firstline.schemas.errors import UserError
    from firstline.schemas.job import ItemState

    wanted = parse_fields(fields)
    if tier is not None and tier not in (known := [one.name for one in api.profile(job).tiers] + ["tools"]):
        raise UserError(unknown("tier of this job", tier, known))
    found = (
        (given, result)
        for given, result in api.results_beside(job)
        if (not failed or result.status is ItemState.FAILED) and tier in (None, result.tier)
    )
    form = Form(Shapes(shape) if shape else None, ResultFormat(kind) if kind else None, CsvStyle(raw, bom), wanted)
    written = write_results(found, out, form)
    if out and out != "-":
        typer.echo(f"{written} items: {shown_out(out)}", err=True)
