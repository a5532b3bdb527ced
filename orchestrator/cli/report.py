"""`firstline report`: what a job cost and how good it is."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Jobs"


def report(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The job's id; the last job when missing.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a job cost and how good it is, beside its baselines."""
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.reports.report_text import print_report
    from firstline.orchestrator.run.past_jobs import full_report

    full = full_report(job)
    if as_json:
        show_json(full)
    else:
        print_report(full)
