"""All calibrations as they stand today."""

from sqlalchemy import Connection

from config.catalogue import load_catalogue
from orchestrator import api
from orchestrator.calibration.standing import Standing, model_pairs, standing
from orchestrator.store import calibrations, jobs


def standings() -> list[Standing]:
    """Return all calibrations as they stand today, newest first."""
    catalogue = load_catalogue()
    skills = {skill.name: skill for skill in catalogue.skills}
    pairs = {profile.name: model_pairs(profile) for profile in catalogue.profiles}
    with api.engine().db.reading() as tx:
        rows = [(row, _profile_name(tx, row["job"])) for row in calibrations.every(tx)]
    return [standing(dict(row), skills=skills, pairs=pairs.get(name)) for row, name in rows]


def _profile_name(tx: Connection, job: str | None) -> str:
    return str(jobs.get(tx, job=job)["profile"]["name"]) if job is not None else ""
