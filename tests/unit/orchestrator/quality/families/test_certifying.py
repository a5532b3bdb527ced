"""What a family can be certified by, and whether serving it pays."""

import random

import pytest

from firstline.orchestrator.quality.families.certifying import Compared, SampleAnswer, certify
from firstline.orchestrator.quality.families.family import Family, FamilyChoice, FamilyState
from firstline.orchestrator.quality.families.family_skill import comparator_of_texts, skill_of, value_of, why_straight
from firstline.orchestrator.quality.families.shadow import verdict
from firstline.orchestrator.store.jobs import now
from firstline.schemas.tier import Profile
from firstline.workers.prompts.prompt import messages, static_messages
from firstline.workers.rules.json_paths import MISSING

LABELS = ("a", "b", "c")


def family(schema=None, **changes):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}} if schema else None
    known = Family(
        id="0" * 12, tenant="default", prompt="You sort.", shape="s", model="openai/top", profile="p",
        response_format=form, params={"temperature": 0}, state=FamilyState.SHADOW, why="", straight=None,
        choice=FamilyChoice.AUTO, compare=None, max_loss=0.05, merged_into=None, requests=1, top_calls=1, top_usd=1.0,
        served=0, served_usd=0.0, shadow_usd=0.0, looked=0, created_at=now(), seen_at=now(),
    )  # fmt: skip
    return known.evolve(**changes)


def ladder(*names):
    return Profile.model_validate(
        {"name": "p", "tiers": [{"name": name, "models": [{"name": f"openai/{name}"}]} for name in names]}
    )


def rows(count, *, right, signal, seed=1):
    """Answers of a model that is right so often; `signal` says how sure it is of (right, wrong) ones."""
    rng = random.Random(seed)
    for n in range(count):
        truth = rng.choice(LABELS)
        ok = rng.random() < right
        said = truth if ok else rng.choice([one for one in LABELS if one != truth])
        sure = min(1.0, max(0.0, rng.gauss(signal[0 if ok else 1], 0.05)))
        yield Compared(str(n), truth, SampleAnswer(
            model="openai/small", has_value=True, value=said, confidence=sure, signal="margin", usd=0.001))  # fmt: skip


@pytest.mark.parametrize(
    ("right", "signal", "served"),
    [
        pytest.param(0.9, (0.9, 0.4), True, id="sure where it is right"),
        pytest.param(0.99, (0.8, 0.8), True, id="hardly ever wrong"),
        pytest.param(0.4, (0.5, 0.9), False, id="often wrong and sure of it"),
    ],
)
def test_what_can_be_told_right_is_served(right, signal, served):
    skill = skill_of(family({"enum": list(LABELS)}))
    found = certify(skill, list(rows(240, right=right, signal=signal)), max_loss=0.05, tiers=1, look=1)
    assert (found.served_share > 0) is served, found.said
    why, pays = verdict([found], 0.02)
    assert pays is served
    assert ("loss of at most 5.0%" in why) is served


def test_later_looks_are_stricter():
    skill = skill_of(family({"enum": list(LABELS)}))
    sample = list(rows(56, right=1.0, signal=(0.9, 0.4)))
    first, fourth = (certify(skill, sample, max_loss=0.05, tiers=1, look=look) for look in (1, 4))
    assert first.served_share > 0
    assert fourth.served_share == 0


def test_what_costs_more_than_the_top_model_is_not_served():
    skill = skill_of(family({"enum": list(LABELS)}))
    found = certify(skill, list(rows(240, right=0.9, signal=(0.9, 0.4))), max_loss=0.05, tiers=1, look=1)
    assert verdict([found], 0.0005) == (
        f"openai/small may answer {found.served_share:.0%}, which would cost more than the top model alone",
        False,
    )
    assert verdict([found], None)[1] is False


@pytest.mark.parametrize(
    ("texts", "by"),
    [
        pytest.param(["billing", "shipping", " billing "] * 20, "exact", id="labels"),
        pytest.param(["42", "1,300.5", "-7", "12%"] * 10, "number", id="numbers"),
        pytest.param(["yes"] * 29, None, id="too few to tell"),
        pytest.param([f"Dear customer {n}" for n in range(60)], None, id="prose"),
        pytest.param(["x" * 61] * 60, None, id="long"),
    ],
)
def test_texts_that_are_closed_are_compared(texts, by):
    assert comparator_of_texts(texts) == by


@pytest.mark.parametrize(
    ("known", "profile", "why"),
    [
        (family({"enum": ["a"]}), ladder("small", "top"), None),
        (family({"type": "number"}), ladder("small", "top"), None),
        (family(), ladder("small", "top"), "free text"),
        (family(compare="exact"), ladder("small", "top"), None),
        (family({"type": "object", "properties": {"a": {"type": "string"}}}), ladder("small", "top"), "compares a"),
        (family(response_format={"type": "json_object"}), ladder("small", "top"), "free text"),
        (family({"enum": ["a"]}), ladder("top"), "no tier below"),
        (family({"$ref": "#/nowhere"}), ladder("small", "top"), "schema"),
        (
            family({"enum": ["a"]}, straight="its messages hold more than text"),
            ladder("small", "top"),
            "more than text",
        ),
    ],
)
def test_what_cannot_be_certified_says_why(known, profile, why):
    found = why_straight(known, profile, skill_of(known))
    assert found is None if why is None else why in found


def test_a_family_is_asked_as_it_came_and_its_certificate_lives_with_how_it_samples():
    turns = [{"role": "system", "content": "You sort."}, {"role": "user", "content": "<data>x</data>"}]
    skill = skill_of(family({"enum": ["a"]}))
    assert messages(skill, {"messages": turns}) == tuple(turns)
    assert static_messages(skill) == ()
    assert skill.digest != skill_of(family({"enum": ["a"]}, params={"temperature": 1})).digest
    assert skill.digest == skill_of(family({"enum": ["a"]}, max_loss=0.2)).digest


def test_the_value_of_a_recorded_answer():
    assert value_of(skill_of(family({"enum": ["a"]})), '"a"') == "a"
    assert value_of(skill_of(family({"enum": ["a"]})), "Sure! It is a") is MISSING
    assert value_of(skill_of(family(compare="exact")), " billing ") == "billing"
