"""How lists of skills, workflows and profiles are shown."""

from typing import TYPE_CHECKING, TypeVar

import typer

from firstline.orchestrator.cli._show import show_json, show_table

if TYPE_CHECKING:
    from firstline.config.catalogue.collection import Shelf
    from firstline.schemas.plan import Workflow
    from firstline.schemas.skill import Skill
    from firstline.schemas.tier import Profile

    Described = TypeVar("Described", Skill, Workflow, Profile)


def show_shelf(shelf: "Shelf[Described]", *, as_json: bool) -> None:
    """Print a shelf's usable entries, and on stderr what is wrong with the others."""
    if as_json:
        show_json([entry.value for entry in shelf.entries.values() if entry.value is not None])
    else:
        rows = [
            (name, "built in" if entry.built_in else entry.file, entry.value.description)
            for name, entry in sorted(shelf.entries.items())
            if entry.value is not None
        ]
        show_table((shelf.noun, "from", "what it is for"), rows)
    for problem in shelf.problems:
        typer.echo(str(problem), err=True)
