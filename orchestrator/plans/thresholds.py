"""Which calibrated threshold holds for a skill on a tier."""

from sqlalchemy import Connection

from firstline.orchestrator.plans.compile import Thresholds
from firstline.orchestrator.store import calibrations
from firstline.schemas.policy import Threshold
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Profile


def known_thresholds(tx: Connection, *, profile: Profile, tenant: str) -> Thresholds:
    """Return the look-up of a tenant's calibrated thresholds for a profile's first models.

    A calibration for another version of the skill does not count, and counts again after a rollback to its own; another
    folder's skill of the same name has one of its own. One that drifted counts as before where the skill's policy only
    flags drift; where it escalates, nothing is accepted until recalibrated.
    """
    top = profile.ladder[-1].models[0].name

    def look_up(skill: Skill, tier_name: str) -> Threshold | None:
        tier = profile.tier(tier_name)
        if tier is None or not tier.models:
            return None
        signals = [signal.label for signal in skill.confidence]
        for row in calibrations.standing(
            tx, tenant=tenant, skill=skill.name, cheap_model=tier.models[0].name, frontier_model=top
        ):
            if row["skill_digest"] != skill.digest:
                continue
            if row["state"] == "drifted" and skill.policy.on_drift == "escalate":
                return Threshold(signal=row["signal"], value=None, source="audit", calibration_id=row["id"])
            if row["signal"] in signals:
                return Threshold(
                    signal=row["signal"], value=row["threshold"], source="calibrated", calibration_id=row["id"]
                )
        return None

    return look_up
