"""How the doctor's findings are gathered and shown."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from firstline.orchestrator.cli._show import show_table

if TYPE_CHECKING:
    from firstline.config.providers.doctor import Finding

_SIGNS = {True: "ok", False: "missing", None: "note"}


def look(profile: str | None) -> "list[Finding]":
    """Return what the doctor finds on this machine and for one profile, or for all."""
    from firstline.config.catalogue.catalogue import load_catalogue
    from firstline.config.providers.doctor import Place, examine_machine, examine_profile
    from firstline.config.settings import get_settings
    from firstline.workers.local_models.catalogue import installed

    settings = get_settings()
    place = Place(settings=settings, environ=os.environ, pulled=installed(settings.models_home))
    profiles = load_catalogue().profiles if profile is None else [load_catalogue().profile(profile)]
    return [*examine_machine(place), *(found for one in profiles for found in examine_profile(one, place))]


def show_findings(found: "list[Finding]", *, as_json: bool) -> None:
    """Print findings, part by part."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
        return
    rows = [(one.part, one.subject, _SIGNS[one.ok], one.text, one.mend) for one in found]
    show_table(("", "what", "", "found", "how to get it"), rows)
