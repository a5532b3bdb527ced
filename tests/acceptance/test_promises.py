"""What a job is said to lose at most is what it loses: whole ladders, stand-in models and steps' own policies."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.commands import commands

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
LABELS = ("billing", "card", "login", "other")
COUNT = 240
SKILL = """
name: sort
instructions: Say what the ticket is about.
input: {text: {}}
output:
  type: object
  properties: {label: {type: string, enum: [billing, card, login, other]}}
  required: [label]
  additionalProperties: false
confidence: [{kind: mean_logprob}]
policy: {attempts_per_tier: 1, max_loss: 0.1}
"""
WORKFLOW = """
name: triage
steps: [{name: sort, skill: sort}]
quality: {gold: gold, field: label}
"""
MODEL = "{{name: openai/{0}, api_base: service:sim, logprobs: true, price: {{input: {1}, output: {2}}}}}"
SERVICE = "services: [{name: sim, kind: simulator, source: ../../script.yaml}]\n"


def profile(name: str, **tiers: list[str]) -> str:
    rows = []
    for n, (tier, models) in enumerate(tiers.items()):
        listed = ", ".join(MODEL.format(model, n + 0.1, n + 0.2) for model in models)
        rows.append(f"  - {{name: {tier}, cooldown_s: 0.3, models: [{listed}]}}\n")
    return f"name: {name}\ntiers:\n{''.join(rows)}{SERVICE}"


#: The middle model is as sure when it is wrong as when it is right; so is the one that stands in for the small one.
SCRIPT = """
seed: 3
truth: truth.jsonl
models:
  small: {answer: {kind: truth, accuracy: 0.85}, confidence: {right: 0.95, wrong: 0.5}}
  middle: {answer: {kind: truth, accuracy: 0.6}, confidence: {right: 0.9, wrong: 0.9}}
  shaky:
    answer: {kind: truth, accuracy: 0.85}
    confidence: {right: 0.95, wrong: 0.5}
    faults: [{kind: server_error, every: 10}]
  standin: {answer: {kind: truth, accuracy: 0.6}, confidence: {right: 0.9, wrong: 0.9}}
  large: {answer: {kind: truth, accuracy: 1.0}}
"""


@pytest.fixture(scope="module")
def firstline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """A folder with a skill and ladders; returns what a command prints as JSON."""
    folder = tmp_path_factory.mktemp("promises")
    files = {
        "skills/sort": SKILL,
        "workflows/triage": WORKFLOW,
        "tiers/three": profile("three", cheap=["small"], mid=["middle"], frontier=["large"]),
        "tiers/stand": profile("stand", cheap=["shaky", "standin"], frontier=["large"]),
    }
    for name, text in files.items():
        (folder / f"firstline/{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"firstline/{name}.yaml").write_text(text)
    (folder / "script.yaml").write_text(SCRIPT)
    rng = random.Random(1)
    with (folder / "truth.jsonl").open("w") as truth, (folder / "items.jsonl").open("w") as items:
        for n in range(COUNT):
            label, mark = rng.choice(LABELS), f"Ticket number {n:04d}x:"
            truth.write(json.dumps({"contains": mark, "text": json.dumps({"label": label})}) + "\n")
            items.write(json.dumps({"id": f"t{n}", "text": f"{mark} my {label} is broken.", "gold": label}) + "\n")
    with commands(folder, "cheap", "mid", "frontier") as typed:

        def run(*arguments: str) -> Any:
            done = typed(*arguments, "--json")
            assert done.code == 0, done
            return json.loads(done.out)

        yield run


def calibrated(firstline: Callable[..., Any], profile: str) -> dict[str, Any]:
    """What a calibration found, by model."""
    arguments = ("--profile", profile, "--input", "items.jsonl", "--labels", "100")
    return {one["cheap_model"]: one["calibration"] for one in firstline("calibrate", "triage", *arguments)}


def ran(firstline: Callable[..., Any], profile: str) -> dict[str, Any]:
    report: dict[str, Any] = firstline("run", "triage", "--profile", profile, "--input", "items.jsonl")
    return report


def test_what_climbs_past_a_certified_tier_is_not_accepted_by_one_that_nothing_is_certified_for(firstline):
    found = calibrated(firstline, "three")
    assert found["openai/small"]["threshold"] is not None
    assert found["openai/small"]["certified_max_loss"] == 0.05, "two tiers share the loss that is borne"
    report = ran(firstline, "three")
    assert 1 - report["quality"]["score"] <= 0.1
    (step,) = report["promise"]["steps"]
    assert step["uncertified"] == {}
    assert step["max_loss"] <= 0.1
    assert step["delta"] <= 0.1


def test_a_model_that_stands_in_for_a_certified_one_is_not_covered_by_its_certificate(firstline):
    found = calibrated(firstline, "stand")
    assert found["openai/shaky"]["threshold"] is not None
    assert found["openai/standin"]["labels_used"] > 0
    report = ran(firstline, "stand")
    assert 1 - report["quality"]["score"] <= 0.1
    assert sum(line["accepted"] for line in report["models"] if line["model"] == "openai/standin") < COUNT / 10
    assert report["promise"]["steps"][0]["uncertified"] == {}
