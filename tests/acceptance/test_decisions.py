"""A tier of a decision model: it serves nothing uncertified, is calibrated like any other, and then answers first."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import Commands, commands

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
LABELS = ("billing", "card", "login", "other")
SCRIPT = """
truth: truth.jsonl
models:
  joey: {answer: {kind: truth, accuracy: 0.8}, confidence: {right: 0.97, wrong: 0.5}}
  large: {answer: {kind: truth}}
"""
PROFILE = """
name: sim
tiers:
  - name: decide
    kind: decision
    models: [{name: openai/joey, api_base: service:sim, price: {input: 0.01, output: 0}}]
  - {name: frontier, models: [{name: openai/large, api_base: service:sim, price: {input: 5, output: 10}}]}
services: [{name: sim, kind: simulator, source: ../../script.yaml}]
"""
SORT = """
name: sort
instructions: Say what the ticket is about.
input: {text: {}}
output: {type: object, properties: {label: {enum: [billing, card, login, other]}}, required: [label]}
policy: {attempts_per_tier: 1}
"""
NOTE = """
name: note
instructions: Sum up the ticket.
input: {text: {}}
output: {type: object, properties: {label: {type: string}}, required: [label]}
"""
ROWS = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("decisions")


@pytest.fixture(scope="module")
def typed(folder: Path) -> Iterator[Commands]:
    for name, text in (("skills/sort", SORT), ("skills/note", NOTE), ("tiers/sim", PROFILE)):
        file = folder / "firstline" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "script.yaml").write_text(SCRIPT)
    _write_rows(folder)
    with commands(folder, "decide", "frontier", profile="sim") as ready:
        yield ready


def _write_rows(folder: Path) -> None:
    rng = random.Random(5)
    with (folder / "truth.jsonl").open("w") as truth, (folder / "items.jsonl").open("w") as items:
        for number in range(ROWS):
            label, mark = rng.choice(LABELS), f"Ticket number {number:04d}x:"
            truth.write(json.dumps({"contains": mark, "text": json.dumps({"label": label})}) + "\n")
            items.write(json.dumps({"id": f"t{number}", "text": f"{mark} my {label} is broken.", "gold": label}) + "\n")


def _run(typed: Commands, skill: str, *more: str) -> dict[str, Any]:
    done = typed("run", skill, "--input", "items.jsonl", "--json", *more)
    assert done.code == 0, done.told
    report: dict[str, Any] = json.loads(done.out)
    return report


def test_it_serves_nothing_before_it_is_certified(typed):
    assert _run(typed, "sort", "--limit", "30")["by_tier"] == {"frontier": 30}


def test_a_skill_with_open_fields_passes_it_by(typed):
    assert _run(typed, "note", "--limit", "5")["by_tier"] == {"frontier": 5}
    refused = typed("calibrate", "note", "--input", "items.jsonl", "--labels", "50")
    assert refused.code == 2
    assert "Traceback" not in refused.told


def test_calibrated_it_answers_first_within_the_loss_that_was_certified(typed, folder):
    items = map(json.loads, (folder / "items.jsonl").read_text().splitlines())
    gold = {item["id"]: item["gold"] for item in items}
    done = typed("calibrate", "sort", "--input", "items.jsonl", "--labels", "120", "--max-loss", "0.1", "--json")
    assert done.code == 0, done.told
    (made,) = json.loads(done.out)
    assert (made["signal"], made["cheap_model"]) == ("decision", "openai/joey")
    assert 0 < made["calibration"]["threshold"] < 1
    report = _run(typed, "sort")
    assert report["by_tier"]["decide"] > ROWS / 2
    assert report["by_tier"]["frontier"] > 0
    assert report["saving"] > 0.5
    answers = [json.loads(line) for line in typed("results", report["job"]).out.splitlines()]
    assert len(answers) == ROWS
    assert sum(one["output"]["label"] != gold[one["item_id"]] for one in answers) <= 0.1 * ROWS
