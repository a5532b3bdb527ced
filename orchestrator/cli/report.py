"""`firstline report`: what a job cost and how good it is."""

from typing import Annotated

import typer

from orchestrator.cli._options import Json

PANEL = "Jobs"


def report(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job's id; the last job when missing.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a job cost and how good it is, beside its baselines."""
    from orchestrator.cli._show import show_json
    from orchestrator.past import full_report
    from orchestrator.report_view import print_report

    full = full_report(job)
    if as_json:
        show_json(full)
    else:
        print_report(full)
