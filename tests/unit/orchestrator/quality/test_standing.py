"""A calibration dies visibly with its skill version or its models."""

from datetime import UTC, datetime

import pytest

from firstline.orchestrator.quality.calibration.standing import model_pairs, standing
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Profile, Tier

SKILL = Skill(name="sort", version=2, instructions="Sort.", input={"text": {}}, output={"type": "string"})
ROW = {
    "id": 1,
    "skill": "sort",
    "skill_version": 2,
    "skill_digest": SKILL.digest,
    "cheap_model": "a/small",
    "frontier_model": "a/large",
    "signal": "margin",
    "method": "ltt-binomial",
    "threshold": 0.8,
    "labels_used": 200,
    "expected_frontier_share": 0.3,
    "max_loss": 0.05,
    "certified_max_loss": 0.05,
    "delta": 0.1,
    "gold": False,
    "state": "live",
    "reason": None,
    "job": "j",
    "curve": [[0.9, 0.4, 0.01]],
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
}
PAIR = {("a/small", "a/large")}


@pytest.mark.parametrize(
    ("row", "skills", "pairs", "state", "reason"),
    [
        pytest.param({}, {"sort": SKILL}, PAIR, "live", None, id="nothing changed"),
        pytest.param({}, {}, None, "live", None, id="a workflow's own skill and a profile by path"),
        pytest.param(
            {"skill_digest": "other"}, {"sort": SKILL}, PAIR, "dead", "the skill was changed since", id="the prompt"
        ),
        pytest.param(
            {"skill_digest": "other", "skill_version": 1},
            {"sort": SKILL},
            PAIR,
            "dead",
            "the skill is version 2 now",
            id="the version",
        ),
        pytest.param(
            {}, {"sort": SKILL}, {("a/new", "a/large")}, "dead", "no longer has a/small below a/large", id="the model"
        ),
        pytest.param({"state": "drifted", "reason": "audits"}, {"sort": SKILL}, PAIR, "drifted", "audits", id="drift"),
        pytest.param(
            {"state": "dead", "reason": "replaced"}, {"sort": SKILL}, PAIR, "dead", "replaced", id="dead already"
        ),
    ],
)
def test_a_calibration_stands_as_long_as_its_skill_and_models_do(row, skills, pairs, state, reason):
    found = standing({**ROW, **row}, skills=skills, pairs=pairs)
    assert found.state == state
    assert found.reason == reason or reason in found.reason


def test_each_model_below_the_top_makes_a_pair_with_the_top_one():
    tiers = [Tier(name=n, models=tuple(Model(name=f"a/{n}{k}") for k in (1, 2))) for n in ("low", "mid", "top")]
    pairs = model_pairs(Profile(name="p", tiers=tuple(tiers)))
    assert pairs == {(f"a/{name}", "a/top1") for name in ("low1", "low2", "mid1", "mid2")}
