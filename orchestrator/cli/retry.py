"""`firstline retry`: try failed items again."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Job, Json, Out

PANEL = "Jobs"
NOTED = True


def retry(
    job: Job,
    failed: Annotated[bool, typer.Option("--failed", help="All items that failed (also the default).")] = False,
    items: Annotated[str | None, typer.Option("--items", metavar="A,B", help="Only these items, by id.")] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Try a job's failed items again; where no workers run, they are started as `firstline run` does."""
    from firstline.orchestrator.cli._show import finish
    from firstline.orchestrator.run import runner

    if failed and items:
        raise typer.BadParameter("expected --failed or --items, got both")
    chosen = [part.strip() for part in items.split(",") if part.strip()] if items else None
    finished = runner.retry(job, chosen, runner.View(out=out, quiet=as_json))
    finish(finished, as_json=as_json, out=out, job=job)
