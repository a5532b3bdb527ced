"""`firstline new`: a skill, a workflow, a profile or a job of one's own to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"

app = typer.Typer(no_args_is_help=True, help="Begin a skill, workflow, profile or job of your own.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, - and _.")]


@app.command("skill")
def new_skill(name: Name, as_json: Json = False) -> None:
    """Write a skill that works, with comments on what to change."""
    from firstline.orchestrator.submission.scaffold import new_skill

    path = new_skill(name)
    _say(path, f"`firstline check {path}` and `firstline try {name} --item 'some text'`", as_json=as_json)


@app.command("workflow")
def new_workflow(name: Name, as_json: Json = False) -> None:
    """Write a workflow of two steps that works, with comments on what to change."""
    from firstline.orchestrator.submission.scaffold import new_workflow

    path = new_workflow(name)
    _say(path, f"`firstline check {path}` and `firstline run {name} --input FILE`", as_json=as_json)


@app.command("profile")
def new_profile(name: Name, as_json: Json = False) -> None:
    """Write a profile of two tiers, with comments on models, prices and limits."""
    from firstline.orchestrator.submission.scaffold import new_profile

    path = new_profile(name)
    _say(path, f"`firstline doctor {name}` and `firstline tiers {name}`", as_json=as_json)


@app.command("job")
def new_job(
    name: Name,
    workflow: Annotated[
        str, typer.Option("--workflow", "-w", metavar="NAME", help="The workflow or skill that it runs.")
    ] = "summarize",
    input_: Annotated[str, typer.Option("--input", "-i", metavar="FILE", help="Its items.")] = "items.csv",
    as_json: Json = False,
) -> None:
    """Write a job file beside your data: input, columns, models, budget, with comments."""
    from firstline.orchestrator.submission.scaffold import new_job

    path = new_job(name, workflow=workflow, source=input_)
    _say(path, f"`firstline check {path}`, `firstline estimate {path}` and `firstline run {path}`", as_json=as_json)


def _say(path: Path, then: str, *, as_json: bool) -> None:
    from firstline.orchestrator.cli._show import show_fields

    show_fields(as_json, f"{path}: edit it; then {then}", file=path)
