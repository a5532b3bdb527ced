"""`firstline try`: one skill on one item."""

from pathlib import Path
from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json, ProfileName

PANEL = "Run"


def try_(
    skill: Annotated[str, typer.Argument(metavar="SKILL", help="A skill by name or path.")],
    *,
    item: Annotated[
        str, typer.Option("--item", metavar="TEXT_OR_JSON", help="A JSON object, or a text for the skill's one input.")
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="One of the profile, or as litellm names it."),
    ] = None,
    profile: ProfileName = None,
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="What a profile's simulator plays.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run one skill on one item, alone: its prompt, each raw answer, what the checks said, and the price."""
    from firstline.orchestrator.cli._show import show_json
    from firstline.orchestrator.experiments.try_skill import try_skill
    from firstline.orchestrator.reports.console import wide_console
    from firstline.orchestrator.reports.item_text import rendered

    trial = try_skill(skill, item, profile=profile, model=model, script=script)
    if as_json:
        show_json(trial.story)
    else:
        wide_console().print(rendered(trial.story, trial.prompts))
    if trial.story.item.reason is not None:
        raise typer.Exit(1)
