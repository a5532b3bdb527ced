"""`firstline prompts`: the versions of a skill's prompt, and better ones."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from firstline.orchestrator.cli._options import Budget, Compare, Field, Gold, Input, Json, ProfileName

if TYPE_CHECKING:
    from firstline.orchestrator.experiments.improve import Improvement

PANEL = "Quality"
NOTED = ("accept", "rollback")

app = typer.Typer(no_args_is_help=True, help="Keep, compare and improve the versions of a skill.")

SkillName = Annotated[str, typer.Argument(metavar="SKILL", help="A skill by name or path.")]


@app.command("list")
def list_(skill: SkillName, as_json: Json = False) -> None:
    """List a skill's versions, newest first."""
    from firstline.orchestrator.cli._show import show_json, show_table
    from firstline.orchestrator.experiments.prompt_versions import find_skill, versions

    found = versions(find_skill(skill))
    if as_json:
        show_json(found)
        return
    rows = [(one.version, "live" if one.live else "", one.digest, one.file) for one in found]
    show_table(("version", "", "digest", "file"), rows, right=("version",))


@app.command()
def diff(
    skill: SkillName,
    old: Annotated[int | None, typer.Argument(help="The one before the new one when missing.")] = None,
    new: Annotated[int | None, typer.Argument(help="The live one when missing.")] = None,
    as_json: Json = False,
) -> None:
    """Show the difference of two versions."""
    from firstline.orchestrator.cli._show import show_fields
    from firstline.orchestrator.experiments.prompt_versions import difference, find_skill

    text = difference(find_skill(skill), old, new)
    show_fields(as_json, text or "no difference", skill=skill, difference=text)


@app.command()
def accept(
    skill: SkillName, version: Annotated[int, typer.Argument(help="A kept version.")], as_json: Json = False
) -> None:
    """Make a kept version the live one; what was live is kept."""
    from firstline.orchestrator.cli._show import show_fields
    from firstline.orchestrator.experiments.prompt_versions import find_skill, take

    taken = take(find_skill(skill), version)
    text = f"version {taken.version} is live: {taken.file}; calibrate it again before it saves"
    show_fields(as_json, text, **taken.model_dump(mode="json"))


@app.command()
def rollback(
    skill: SkillName,
    to: Annotated[
        int | None, typer.Option("--to", help="The version; the one before the live one when missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Go back to an earlier version; what was live is kept."""
    from firstline.orchestrator.cli._show import show_fields
    from firstline.orchestrator.experiments.prompt_versions import find_skill, roll_back

    taken = roll_back(find_skill(skill), to)
    show_fields(as_json, f"version {taken.version} is live again: {taken.file}", **taken.model_dump(mode="json"))


@app.command()
def improve(
    skill: SkillName,
    *,
    input_: Input = None,
    labels: Annotated[int, typer.Option("--labels", min=2, help="Held-out items to measure old and new on.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Draws the held-out items.")] = 0,
    profile: ProfileName = None,
    budget: Budget = None,
    gold: Gold = None,
    field: Field = None,
    compare: Compare = None,
    accept: Annotated[bool, typer.Option("--accept", help="Take the new version unless it is worse.")] = False,
    as_json: Json = False,
) -> None:
    """Have the top tier propose a better version from logged failures, and measure it against the old one.

    The new version is kept in any case; it becomes live when a person says so, or with --accept unless it is worse.
    """
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.experiments.improve import Test, improve
    from firstline.orchestrator.experiments.prompt_versions import find_skill, take
    from firstline.orchestrator.run.runner import View
    from firstline.orchestrator.submission.run_request import Wishes, read_order

    found = find_skill(skill)
    order = read_order(skill, Wishes(input_, profile, None, budget, None))
    made = improve(found, order, Test(labels, seed, gold, field, compare), View(quiet=as_json))
    if not as_json:
        _show(made)
    worse = made.evaluation.difference.high < 0
    if (accept and not worse) or (not as_json and not accept and sys.stdin.isatty() and typer.confirm("Take it?")):
        taken = take(found, made.new_version)
        made = made.evolve(accepted=True, file=taken.file)
    if as_json:
        show_json(made)
    elif made.accepted:
        typer.echo(f"version {made.new_version} is live: {made.file}")
    else:
        typer.echo(f"kept as {made.file}; take it: firstline prompts accept {skill} {made.new_version}")


def _show(made: "Improvement") -> None:
    from firstline.orchestrator.experiments.comparison import said_share

    typer.echo(f"{made.failures} failures of version {made.old_version}:")
    for cause in made.causes:
        typer.echo(f"  {cause.count} x {cause.check}: {cause.reason}")
    for rule in made.rules:
        typer.echo(f"  a reviewer said: {rule}")
    tested = made.evaluation
    typer.echo(f"\n{made.diagnosis}\n\n{made.difference}\n")
    kinds = f" ({tested.failed} of them had failed)" if tested.failed else ""
    typer.echo(f"{tested.items} held-out items{kinds}, answered by {tested.model}, right by {tested.against}:")
    typer.echo(f"  version {made.old_version}: {said_share(tested.old)}")
    typer.echo(f"  version {made.new_version}: {said_share(tested.new)}")
    typer.echo(f"  {tested.said}")
