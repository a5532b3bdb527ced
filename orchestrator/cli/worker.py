"""`firstline worker`: a worker process for one tier or several."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import ProfileName, Record

PANEL = "Processes"


def worker(
    tier: Annotated[list[str], typer.Option("--tier", "-t", help="A tier of the profile; may be given again.")],
    profile: ProfileName = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Batches held at once.")] = None,
    record: Record = None,
) -> None:
    """Answer the subtasks of a tier until stopped; needs FIRSTLINE_REDIS_URL and the providers' keys."""
    from firstline.orchestrator.cli._process import become
    from firstline.orchestrator.core.worker_requirements import worker_arguments

    become("firstline.workers.process", *worker_arguments(tier, profile, threads=threads, record=record))
