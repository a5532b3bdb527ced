"""`firstline families`: requests of one prompt and one form of answer, who answers them and what that saves."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Quality"
NOTED = ("set",)

app = typer.Typer(invoke_without_command=True, help="List families of chat requests: traffic, spend, state, saving.")


@app.callback()
def families(context: typer.Context, as_json: Json = False) -> None:
    """List families: what they cost, who answers them, what that saves, and why."""
    if context.invoked_subcommand is not None:
        return
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.quality.families.listing import standings, table

    found = standings()
    if as_json:
        show_json(found)
    elif found:
        columns, rows = table(found)
        show_table(columns, rows, right=("requests", "spent", "saved"))
    else:
        typer.echo("no families yet; point an application at /v1/chat/completions, see docs/dropin.md")


@app.command(name="set")
def set_(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="Its id, or what this begins with.")],
    *,
    choice: Annotated[
        str | None,
        typer.Option("--choice", help="auto; pinned: the top model answers; excluded: and nothing is kept."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", help="How two answers are compared: exact, number, set_f1.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option("--max-loss", help="Share of requests that may be lost, such as 0.05.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pin or exclude a family, name how its answers are compared, or what it may lose."""
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.quality.families.family import FamilyChoice
    from firstline.orchestrator.quality.families.listing import FamilyChange, change, state_of
    from firstline.schemas.errors import UserError

    if choice is not None and choice not in list(FamilyChoice):
        raise UserError(f"--choice: expected {', '.join(FamilyChoice)}, got '{choice}'")
    asked = FamilyChange(
        choice=FamilyChoice(choice) if choice is not None else None, compare=compare, max_loss=max_loss
    )
    done = change(family, asked)
    if as_json:
        show_json(done)
        return
    compared = f"compared by {done.compare or 'its schema'}, at most {done.max_loss:.1%} may be lost"
    typer.echo(f"{done.id}: {state_of(done)}, {done.why_in_words}; {compared}")
