"""`firstline estimate`: what a job is expected to cost, before it is run."""

from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import (
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

if TYPE_CHECKING:
    from firstline.schemas.estimate import Estimate

PANEL = "Run"


def estimate(
    target: Target = None,
    *,
    input_: Input = None,
    sql: Sql = None,
    map_: Map = None,
    id_field: IdField = None,
    profile: ProfileName = None,
    limit: Limit = None,
    since_last: SinceLast = False,
    goal: Goal = None,
    sample: Annotated[int, typer.Option("--sample", metavar="N", min=1, help="Items whose prompts are counted.")] = 200,
    as_json: Json = False,
) -> None:
    """Say what a job is expected to cost, with an interval; no model is called and no key is needed."""
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.money import estimate as estimating
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    asked = read_order(
        target,
        Wishes(
            input_,
            profile,
            limit,
            None,
            goal,
            id_field=id_field,
            map=parse_mapping(map_),
            sql=sql,
            since_last=since_last,
        ),
    )
    with asked.checked() as order, api.engine().db.reading() as tx:
        found = estimating.estimate(tx, order, sample=sample)
        found = found.evolve(notes=(*found.notes, *order.notes))
    if as_json:
        show_json(found)
    else:
        _print(found)


def _print(found: "Estimate") -> None:
    from firstline.orchestrator.cli._show import show_table
    from firstline.orchestrator.money.job_estimate import above_top
    from firstline.orchestrator.reports.formatting import dollars, percent

    columns = ("step", "first tier", "calls", "tokens in", "out", "climb", "cost", "known from")
    rows = (
        (
            one.step,
            one.tier,
            f"{one.calls:,.0f}",
            f"{one.input_tokens:,.0f}",
            f"{one.output_tokens:,.0f}",
            percent(one.climbing),
            dollars(one.cost_usd),
            one.known_from,
        )
        for one in found.steps
    )
    show_table(columns, rows, right=columns[2:7])
    interval = "" if found.low_usd is None else f" (95%: {dollars(found.low_usd)} to {dollars(found.high_usd)})"
    typer.echo(f"{found.items:,} items, {found.sampled:,} sampled: {dollars(found.cost_usd)}{interval}")
    if found.frontier_usd is not None:
        typer.echo(f"the top tier alone: {dollars(found.frontier_usd)}")
    if doubt := above_top(found):
        typer.echo(doubt)
    for note in found.notes:
        typer.echo(note)
