"""`firstline budget`: raise a job's cap."""

from typing import Annotated

import typer

from orchestrator.cli._options import Job

PANEL = "Jobs"


def budget(
    job: Job,
    by_usd: Annotated[float, typer.Option("--raise", metavar="USD", min=0.000001, help="Dollars to add to the cap.")],
) -> None:
    """Raise a job's cap; a job that paused on it goes on where workers run."""
    from orchestrator import api
    from orchestrator.cli._show import reachable_redis
    from orchestrator.figures import dollars

    with reachable_redis():
        api.raise_budget(job, by_usd)
    now = api.status(job)
    typer.echo(f"{job} may spend {dollars(now.budget_usd)}; {dollars(now.cost_usd)} is spent; it is {now.state.value}")
