"""`firstline tiers`: the profiles there are, or the ladder of one."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def tiers(
    profile: Annotated[str | None, typer.Argument(metavar="[PROFILE]", help="A profile by name or path.")] = None,
    as_json: Json = False,
) -> None:
    """List the profiles, or show the ladder of one: its models, prices and limits."""
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.orchestrator.cli._catalogue import show_shelf
    from firstline.orchestrator.cli._ladder import show_ladder

    catalogue = load_catalogue()
    if profile is None:
        show_shelf(catalogue.profiles, as_json=as_json)
    else:
        show_ladder(catalogue.profile(profile), as_json=as_json)
