"""Whether a calibration still holds: it dies with its skill version and its models, and drifts when audits say so."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from firstline.orchestrator.quality.calibration.curve import Point
from firstline.schemas.base import Frozen
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile


class Standing(Frozen):
    """A stored calibration, and where it stands today."""

    id: int
    skill: str
    skill_version: int
    cheap_model: str
    frontier_model: str
    signal: str
    method: str
    threshold: float | None
    labels_used: int
    expected_frontier_share: float | None
    max_loss: float
    certified_max_loss: float | None
    delta: float
    gold: bool
    #: live, dead, drifted
    state: str
    reason: str | None
    job: str | None
    #: What accepting from a confidence on would bring, by its labels; empty: it was made before curves were kept.
    curve: tuple[Point, ...] = ()
    created_at: datetime


def standing(
    row: Mapping[str, Any], *, skills: Mapping[str, Skill], pairs: Collection[tuple[str, str]] | None
) -> Standing:
    """Return a stored calibration as it stands, given the catalogue's skills by name and its profile's model pairs.

    `pairs` holds (cheap, frontier); None where the catalogue has no profile of the name that was calibrated with. What
    the catalogue does not have (a workflow's own skill, a profile given by path) is taken to be as it was.
    """
    curve = [Point(confidence=sure, coverage=share, loss=loss) for sure, share, loss in row["curve"]]
    known = Standing.model_validate({name: row[name] for name in Standing.model_fields} | {"curve": curve})
    if known.state == "dead":
        return known
    reason = _why_dead(known, row["skill_digest"], skills.get(known.skill), pairs)
    return known.evolve(state="dead", reason=reason) if reason else known


def _why_dead(
    known: Standing, digest: str, skill: Skill | None, pairs: Collection[tuple[str, str]] | None
) -> str | None:
    if skill is not None and skill.digest != digest:
        now = f"is version {skill.version} now" if skill.version != known.skill_version else "was changed since"
        return f"the skill {now}; calibrate it again"
    if pairs is not None and (known.cheap_model, known.frontier_model) not in pairs:
        return f"its profile no longer has {known.cheap_model} below {known.frontier_model}; calibrate the new models"
    return None


def model_pairs(profile: Profile) -> frozenset[tuple[str, str]]:
    """Return the (cheap, frontier) pairs that a ladder's calibrations are for: lower models, each with the top one."""
    *lower, top = profile.ladder
    return frozenset((model.name, top.models[0].name) for tier in lower for model in tier.models)
