"""`firstline submit`: a job for workers that run already."""

import typer

from firstline.orchestrator.cli._options import (
    Budget,
    Goal,
    IdField,
    Input,
    Json,
    Limit,
    Map,
    ProfileName,
    SinceLast,
    Sql,
    Target,
)

PANEL = "Run"
NOTED = True


def submit(
    target: Target = None,
    *,
    input_: Input = None,
    sql: Sql = None,
    map_: Map = None,
    id_field: IdField = None,
    profile: ProfileName = None,
    limit: Limit = None,
    since_last: SinceLast = False,
    budget: Budget = None,
    goal: Goal = None,
    as_json: Json = False,
) -> None:
    """Submit a job to workers that run already and print its id."""
    from firstline.orchestrator.run.runner import submit_elsewhere
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    status = submit_elsewhere(
        read_order(
            target,
            Wishes(
                input_,
                profile,
                limit,
                budget,
                goal,
                id_field=id_field,
                map=parse_mapping(map_),
                sql=sql,
                since_last=since_last,
            ),
        )
    )
    if status.reason:
        typer.echo(f"job {status.job}: {status.reason}", err=True)
    typer.echo(f'{{"job": "{status.job}"}}' if as_json else status.job)
