"""The example support_triage on the local models' recorded answers: tools and both models, offline."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firstline.workers.simulator.running import running as simulating
from firstline.workers.simulator.script import load_script
from tests.acceptance.commands import processes, serve_from, typed

EXAMPLE = Path(__file__).parents[2] / "examples" / "support_triage"
ITEMS = 16


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("triage")
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    command = [
        sys.executable,
        "-m",
        "firstline.orchestrator.cli",
        "run",
        str(EXAMPLE / "job.yaml"),
        "--profile",
        "recorded",
    ]
    options = ["--limit", str(ITEMS), "--out", "out.jsonl", "--json"]
    done = subprocess.run([*command, *options], cwd=folder, env=env, capture_output=True, timeout=170, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    return json.loads(done.stdout), lines


@pytest.mark.long
def test_the_step_that_can_be_told_right_is_calibrated_and_tuned_and_the_others_stand(tmp_path):
    # As README.md shows it: the other steps answer in prose that nobody compares, and have nothing to be weighed by.
    shutil.copytree(EXAMPLE, tmp_path / "example")
    with (
        simulating(load_script(tmp_path / "example" / "script.yaml")) as url,
        processes(tmp_path, "cheap", "frontier", "tools"),
    ):
        serve_from(tmp_path / "example", url)
        rows = ("--input", "example/data/to_label.csv", "--labels", "100", "--max-loss", "0.1")
        done = typed(tmp_path, "calibrate", "example/job.yaml", *rows, "--profile", "recorded", "--json")
        tuned = typed(tmp_path, "tune", "example/job.yaml", "--profile", "recorded")
    assert (done.code, tuned.code) == (0, 0), (done, tuned)
    assert "classify: openai/qwen-0.5b replaces openai/qwen-1.5b" in tuned.out
    assert "subject: openai/qwen-1.5b stands: nobody compares two answers of skill 'name_subject'" in tuned.out
    assert "this saves 35% (29% to 40%) at a loss of at most 10%" in tuned.out
    (found,) = json.loads(done.out)
    assert (found["step"], found["cheap_model"]) == ("classify", "openai/qwen-0.5b")
    assert found["calibration"]["certified_max_loss"] == 0.1


@pytest.fixture(scope="module")
def tickets() -> dict[str, dict[str, str]]:
    with (EXAMPLE / "data" / "tickets.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_every_question_is_answered_from_the_recording(ran):
    report, lines = ran
    assert [line["status"] for line in lines] == ["settled"] * ITEMS, [line["reason"] for line in lines]
    assert {line["model"] for line in report["models"]} >= {"openai/qwen-0.5b", "openai/qwen-1.5b", "likely_intents"}


def test_what_a_question_is_about_stands_in_it(ran, tickets):
    named = [line for line in ran[1] if line["output"]["about"]]
    assert len(named) > ITEMS / 2
    for line in named:
        assert _letters(line["output"]["about"]) in _letters(tickets[line["item_id"]]["text"])


def test_only_complex_messages_are_answered_by_the_frontier(ran, tickets):
    for line in ran[1]:
        text = tickets[line["item_id"]]["text"]
        is_long = len(text.split()) > 20 or sum(text.count(mark) for mark in ".?!") > 1
        assert line["output"]["written_by"] == "template" or (is_long and line["tier"] == "frontier")
        assert line["output"]["reply"]


def _letters(text):
    return "".join(filter(str.isalnum, text.casefold()))


def test_quality_is_measured_for_all_three_ways_on_the_same_questions(ran):
    report, _ = ran
    baselines = {line["name"]: line for line in report["baselines"]}
    assert report["quality"]["items"] == ITEMS
    for name in ("cheap only", "frontier only"):
        assert baselines[name]["measured"]
        assert 0 < baselines[name]["quality"] <= 1
    assert report["cost_usd"] < baselines["frontier only"]["cost_usd"]
