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
    of_profiles = (found for one in profiles for found in examine_profile(one, place))
    return [*examine_machine(place), *of_profiles, *_standing_still()]


def _standing_still() -> "list[Finding]":
    """Return what the jobs under way wait for; nothing where the database cannot be read."""
    from firstline.config.providers.doctor import Finding
    from firstline.orchestrator import api
    from firstline.orchestrator.cli._show import reachable_redis
    from firstline.orchestrator.monitoring.obstacles import obstacles
    from firstline.schemas.errors import FirstlineError

    try:
        with reachable_redis():
            under_way = [job.job for job in api.jobs() if not job.state.ended]
            found = obstacles(api.engine(), under_way)
    except FirstlineError:
        return []
    return [
        Finding("jobs", job, None if one.is_wanted else False, one.text, one.mend)
        for job, each in found.items()
        for one in each
    ]


def show_findings(found: "list[Finding]", *, as_json: bool) -> None:
    """Print findings, part by part."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
        return
    rows = [(one.part, one.subject, _SIGNS[one.ok], one.text, one.mend) for one in found]
    show_table(("", "what", "", "found", "how to get it"), rows)
