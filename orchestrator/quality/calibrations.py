"""All calibrations as they stand today."""

from pathlib import Path

from sqlalchemy import Connection

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.quality.calibration.standing import Standing, model_pairs, standing
from firstline.orchestrator.store import calibrations, jobs
from firstline.schemas.skill import Skill


def standings(*, tenant: str | None = None) -> list[Standing]:
    """Return the calibrations of a tenant, or of all, as they stand today, newest first."""
    with api.engine().db.reading() as tx:
        rows = [(row, _profile_name(tx, row["job"])) for row in calibrations.every(tx, tenant=tenant)]
    known = {place: _known(*place) for place in {(row["home"], row["tenant"]) for row, _ in rows}}
    return [
        standing(dict(row), skills=skills, pairs=pairs.get(name))
        for (row, name) in rows
        for skills, pairs in [known[row["home"], row["tenant"]]]
    ]


def _known(home: str | None, tenant: str) -> tuple[dict[str, Skill], dict[str, frozenset[tuple[str, str]]]]:
    """Return the skills, and the model pairs of the profiles, that somebody of a tenant in that folder has by name."""
    homes = get_settings().homes
    catalogue = load_catalogue((*homes, Path(home)) if home else homes, tenant=tenant)
    skills = {skill.name: skill for skill in catalogue.skills}
    return skills, {profile.name: model_pairs(profile) for profile in catalogue.profiles}


def _profile_name(tx: Connection, job: str | None) -> str:
    return str(jobs.get(tx, job=job)["profile"]["name"]) if job is not None else ""
