"""`firstline prune`: old jobs go."""

import json
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Jobs"
NOTED = True


def prune(
    older_than: Annotated[str, typer.Option("--older-than", metavar="AGE", help="Such as 30d, 12h or 2w.")],
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs that ended so: done, failed or cancelled.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Remove jobs that ended long ago, with their items and attempts, and what else has grown with time.

    Calibrations and the gold set stay; the audit log goes after a year.
    """
    from firstline.orchestrator import api
    from firstline.orchestrator.service.prune import prune as remove
    from firstline.orchestrator.service.prune import read_age, read_states

    age, states = read_age(older_than), read_states(state or [])
    removed = remove(api.engine(), age=age, states=states, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({"jobs": removed, "removed": not dry_run}))
        return
    for job in removed:
        typer.echo(job)
    what = "would be removed" if dry_run else "removed"
    typer.echo(f"{len(removed)} {'job' if len(removed) == 1 else 'jobs'} {what}", err=True)
