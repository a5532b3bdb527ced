"""`firstline compare`: models side by side on your own items."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import (
    Budget,
    Compare,
    Field,
    Gold,
    IdField,
    Input,
    Json,
    Limit,
    Map,
    ProfileName,
    Record,
)

if TYPE_CHECKING:
    from firstline.schemas.comparison import Comparison

PANEL = "Quality"

_SHOWN = 20


def compare(
    target: Annotated[
        str, typer.Argument(metavar="WORKFLOW_OR_SKILL", help="A workflow or skill by name or path, or a job file.")
    ],
    *,
    models: Annotated[
        str | None,
        typer.Option("--models", "-m", metavar="A,B,C", help="Models or tiers of the profile, or litellm's names."),
    ] = None,
    input_: Input = None,
    map_: Map = None,
    id_field: IdField = None,
    limit: Limit = None,
    profile: ProfileName = None,
    budget: Budget = None,
    record: Record = None,
    gold: Gold = None,
    field: Field = None,
    by: Compare = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page to send to a colleague.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let models answer the same items and show quality, cost, speed and errors side by side, and where to start."""
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.experiments.compare import Question, compare_models
    from firstline.orchestrator.results.outlet import check_writable
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.input_fit import parse_mapping
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    check_writable(str(html) if html else None)
    order = read_order(target, Wishes(input_, profile, limit, budget, None, id_field=id_field, map=parse_mapping(map_)))
    named = tuple(name.strip() for name in (models or "").split(",") if name.strip())
    found = compare_models(order, Question(named, gold, field, by), View(quiet=as_json), record=record)
    if html:
        from firstline.orchestrator.experiments.comparison_text import render_page

        html.write_text(render_page(found), encoding="utf-8")
        typer.echo(f"page: {html}", err=True)
    if as_json:
        show_json(found)
    else:
        _show(found)


def _notes(found: "Comparison") -> None:
    if found.silent:
        typer.echo(f"nobody compares {', '.join(found.silent)}: nothing is said of it; declare `compare:` in the skill")
    if found.judge_is_measured is False:
        typer.echo("prose was compared by a judge, and nobody has measured how often it is wrong: `firstline judge`")


def _show(found: "Comparison") -> None:
    _notes(found)
    from firstline.orchestrator.cli._show import show_table
    from firstline.orchestrator.experiments.comparison_text import candidate_columns, candidate_row, item_row

    models = [one.model for one in found.candidates]
    gold = ("gold",) if found.gold else ()
    show_table(("item", *models, *gold), [item_row(row, found) for row in found.rows[:_SHOWN]])
    if len(found.rows) > _SHOWN:
        typer.echo(f"... and {len(found.rows) - _SHOWN} more items (--json or --html shows all)")
    typer.echo("")
    show_table(candidate_columns(found), [candidate_row(one, found) for one in found.candidates])
    typer.echo("")
    for start in found.start:
        typer.echo(f"{start.step} ({start.skill}): {start.said}")
