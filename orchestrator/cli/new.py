"""`firstline new`: a skill or a workflow of one's own to begin with."""

from typing import Annotated

import typer

PANEL = "Set up"

app = typer.Typer(no_args_is_help=True, help="Begin a skill or a workflow of your own from a commented file.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, - and _.")]


@app.command("skill")
def new_skill(name: Name) -> None:
    """Write a skill that works, with comments on what to change."""
    from firstline.orchestrator.submission.scaffold import new_skill

    path = new_skill(name)
    typer.echo(f"{path}: edit it; then `firstline check {path}` and `firstline try {name} --item 'some text'`")


@app.command("workflow")
def new_workflow(name: Name) -> None:
    """Write a workflow of two steps that works, with comments on what to change."""
    from firstline.orchestrator.submission.scaffold import new_workflow

    path = new_workflow(name)
    typer.echo(f"{path}: edit it; then `firstline check {path}` and `firstline run {name} --input FILE`")
