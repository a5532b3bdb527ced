"""`firstline doctor`: what is missing for which profile, and how to get it."""

from typing import Annotated

import typer

from firstline.orchestrator.cli._options import Json

PANEL = "Set up"


def doctor(
    profile: Annotated[
        str | None, typer.Argument(metavar="[PROFILE]", help="A profile by name or path; all when missing.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is missing for a profile (keys, servers, local models, prices), and how to get it."""
    from firstline.orchestrator.cli._findings import look, show_findings

    found = look(profile)
    show_findings(found, as_json=as_json)
    if profile is not None and any(finding.ok is False for finding in found):
        raise typer.Exit(1)
