"""Compare, calibrate, run, audit, improve, review: the whole loop on real processes against the simulator."""

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import commands

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = pytest.mark.timeout(300)
LABELS = ("billing", "card", "login", "other")
SCRIPT = """
seed: 3
truth: truth.jsonl
models:
  small:
    answer: {kind: truth, accuracy: 0.8}
    confidence: {right: 0.95, wrong: 0.5}
    faults: [{kind: off_schema, probability: 0.1}]
  large: {answer: {kind: truth, accuracy: 1.0}}
"""
PROFILE = """
name: sim
tiers:
  - name: cheap
    models: [{name: openai/small, api_base: service:sim, logprobs: true, price: {input: 0.1, output: 0.2}}]
  - name: frontier
    models: [{name: openai/large, api_base: service:sim, price: {input: 5, output: 10}}]
services: [{name: sim, kind: simulator, source: ../../script.yaml}]
"""
#: It bears more than is certified below: a few audits that happen to be lost are no drift.
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
policy: {attempts_per_tier: 1, audit_share: 0.5, max_loss: 0.3}
"""
#: Two signals, of which the first is a coin.
COIN = """
import hashlib

def coin(answer, item):
    return hashlib.sha256(item["text"].encode()).digest()[0] / 255
"""
TWO = SKILL.replace("name: sort", "name: two").replace(
    "confidence: [", "confidence: [{kind: function, path: 'mine:coin'}, "
)
HARD = SKILL.replace("name: sort", "name: hard").replace("policy: {", "policy: {last_resort: review, ") + (
    "checks: [{kind: one_of, field: label, values: [never], tiers: [cheap, frontier]}]\n"
)

#: What the large model proposes when it is shown the skill's instructions as an item: how to better them.
INSTRUCTIONS = "Say what the ticket is about."
PROPOSAL = {
    "diagnosis": "The prompt names the task, but not what an answer has to hold; it does so now.",
    "instructions": "Say what the ticket is about: choose the one label whose word stands in the ticket.",
    "examples": [1],
}

Run = Callable[..., str]


@pytest.fixture(scope="module")
def firstline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A folder with a skill, a ladder and items that carry their truth; returns what a command prints."""
    folder = tmp_path_factory.mktemp("quality")
    home = folder / "firstline"
    for name, text in (("skills/sort", SKILL), ("skills/hard", HARD), ("skills/two", TWO), ("tiers/sim", PROFILE)):
        (home / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.yaml").write_text(text)
    (home / "functions").mkdir()
    (home / "functions" / "mine.py").write_text(COIN)
    (folder / "script.yaml").write_text(SCRIPT)
    _write_items(folder, 160)
    with commands(folder, "cheap", "frontier", profile="sim") as typed:

        def run(*arguments: str, exit_code: int = 0) -> str:
            done = typed(*arguments)
            assert done.code == exit_code, done
            return done.out

        yield run


def _write_items(folder: Path, count: int) -> None:
    rng = random.Random(1)
    with (folder / "truth.jsonl").open("w") as truth, (folder / "items.jsonl").open("w") as items:
        truth.write(json.dumps({"contains": INSTRUCTIONS, "text": json.dumps(PROPOSAL)}) + "\n")
        for n in range(count):
            label, mark = rng.choice(LABELS), f"Ticket number {n:04d}x:"
            truth.write(json.dumps({"contains": mark, "text": json.dumps({"label": label})}) + "\n")
            items.write(json.dumps({"id": f"t{n}", "text": f"{mark} my {label} is broken.", "gold": label}) + "\n")


def _json(text: str) -> Any:
    return json.loads(text)


def test_compare_shows_what_each_model_does_alone_and_where_to_start(firstline, tmp_path):
    page = tmp_path / "page.html"
    arguments = ("--input", "items.jsonl", "--limit", "30", "--gold", "gold", "--field", "label")
    found = _json(firstline("compare", "sort", "--models", "small,large", *arguments, "--html", str(page), "--json"))
    small, large = found["candidates"]
    assert (large["accuracy"]["right"], large["failed"], found["reference"]) == (30, 0, "openai/large")
    assert small["accuracy"]["right"] < 30
    assert small["malformed_rate"] > 0
    assert small["errors"]["off_schema"] == small["failed"]
    assert small["usd_per_1000_items"] < large["usd_per_1000_items"]
    assert found["start"][0]["model"] == "openai/small"
    assert "openai/small" in page.read_text()


def test_a_calibration_is_stored_and_from_then_on_decides_what_is_accepted(firstline):
    arguments = ("--input", "items.jsonl", "--labels", "120", "--max-loss", "0.1", "--json")
    (made,) = _json(firstline("calibrate", "sort", *arguments))
    threshold = made["calibration"]["threshold"]
    assert (made["signal"], made["calibration"]["certified_max_loss"]) == ("mean_logprob", 0.1)
    assert 0 < threshold < 1
    (again,) = _json(firstline("calibrate", "sort", *arguments))
    assert again["calibration"] == made["calibration"], "the answers that were paid for are used again"

    report = _json(firstline("run", "sort", "--input", "items.jsonl", "--limit", "40", "--json"))
    assert report["settled"] == 40
    assert report["by_tier"]["frontier"] > 0
    unsure = [one for one in _json(firstline("failures", "--job", report["job"], "--json")) if one["error"] == "unsure"]
    assert unsure
    assert all(f"calibrated threshold {threshold:.3f}" in one["reasons"][0] for one in unsure)

    known = _json(firstline("calibrations", "--json"))
    assert [(one["state"], one["reason"]) for one in known] == [
        ("live", None),
        ("dead", "replaced by a newer calibration"),
    ]
    sure = [point for point in known[0]["curve"] if point["confidence"] >= threshold]
    assert sure[-1]["coverage"] > 0.5
    assert all(point["loss"] <= 0.1 for point in sure)


def test_a_run_opens_its_page_on_request_and_only_then(firstline, tmp_path, monkeypatch):
    browser, seen = tmp_path / "browser", tmp_path / "seen.html"
    browser.write_text(f'#!/bin/sh\ncurl --silent --output {seen} "$1"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    arguments = ("run", "sort", "--input", "items.jsonl", "--limit", "2", "--json")
    firstline(*arguments)
    assert not seen.exists()
    report = _json(firstline(*arguments, "--open"))
    assert report["job"] in seen.read_text()
    assert "Ended on" in seen.read_text()


def test_accepted_answers_are_audited_after_the_job_and_the_job_s_cost_does_not_hold_that(firstline):
    report = _json(firstline("run", "sort", "--input", "items.jsonl", "--limit", "40", "--json"))
    (found,) = [one for one in _json(firstline("audits", "--json")) if one["model"] == "openai/small"]
    assert found["loss"]["audited"] > 0
    assert found["pending"] == 0
    assert found["loss"]["low"] <= found["loss"]["estimate"] <= found["loss"]["high"]
    assert sum(line["accepted"] for line in report["models"]) == 40


def test_failures_are_grouped_into_causes_and_a_better_prompt_is_proposed_measured_and_kept(firstline):
    cause = _json(firstline("failures", "--skill", "sort", "--cluster", "--json"))[0]
    assert cause["count"] > 0
    arguments = ("--input", "items.jsonl", "--labels", "20", "--gold", "gold", "--field", "label", "--json")
    made = _json(firstline("prompts", "improve", "sort", *arguments))
    assert (made["old_version"], made["new_version"], made["accepted"]) == (1, 2, False)
    assert made["evaluation"]["items"] == 20
    assert made["evaluation"]["difference"]["low"] <= made["evaluation"]["difference"]["high"]

    firstline("prompts", "accept", "sort", "2")
    listed = [(one["version"], one["live"]) for one in _json(firstline("prompts", "list", "sort", "--json"))]
    assert listed == [(2, True), (1, False)]
    assert "the skill is version 2 now" in _json(firstline("calibrations", "--json"))[0]["reason"]
    firstline("prompts", "rollback", "sort")
    assert _json(firstline("calibrations", "--json"))[0]["state"] == "live"


def test_what_waits_for_a_person_is_answered_and_becomes_gold(firstline):
    # A job that waits for people has not come to its end.
    firstline("run", "hard", "--input", "items.jsonl", "--limit", "2", "--json", exit_code=1)
    waiting = _json(firstline("review", "list", "--json"))
    assert [one["item_id"] for one in waiting] == ["t0", "t1"]
    job = waiting[0]["job"]
    assert _json(firstline("review", "next", "--json"))["inputs"]["text"].startswith("Ticket number 0000x")
    firstline("review", "answer", job, "t0", '{"label": "card"}')
    firstline("review", "reject", job, "t1", "--reason", "no ticket")
    assert _json(firstline("status", job, "--json"))["state"] == "done"
    (gold,) = [json.loads(line) for line in firstline("review", "gold", "hard").splitlines()]
    assert gold["gold"] == {"label": "card"}


def test_of_several_signals_the_one_that_tells_is_calibrated_and_decides(firstline):
    arguments = ("--input", "items.jsonl", "--labels", "120", "--max-loss", "0.1", "--gold", "gold", "--field", "label")
    (made,) = _json(firstline("calibrate", "two", *arguments, "--json"))
    assert made["signal"] in ("mean_logprob", "combined")
    assert made["calibration"]["threshold"] is not None
    assert re.search(
        r"by how well each tells right from wrong: function 0\.\d\d \(.*\), which may be a coin", made["said"]
    )
    report = _json(firstline("run", "two", "--input", "items.jsonl", "--limit", "40", "--json"))
    assert report["by_tier"]["cheap"] > 20
    assert report["promise"]
