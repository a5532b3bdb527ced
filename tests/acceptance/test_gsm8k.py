"""The first job that a newcomer runs, `firstline run examples/gsm8k/job.yaml`, on real processes, offline."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "gsm8k"
ITEMS = 60


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    folder: Path
    printed: str
    report: dict[str, Any]
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("gsm8k")
    firstline = _runner(folder)
    printed = firstline("run", str(EXAMPLE / "job.yaml"), "--limit", str(ITEMS), "--out", "out.jsonl")
    report = json.loads(firstline("report", "--json"))
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    return Ran(folder, printed, report, lines)


def _runner(folder: Path) -> Callable[..., str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}

    def firstline(*arguments: str) -> str:
        command = [sys.executable, "-m", "firstline.orchestrator.cli", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=env, text=True, encoding="utf-8", capture_output=True, timeout=150, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return firstline


def test_the_table_stands_beside_its_three_baselines(ran):
    for row in ("Firstline", "cheap only", "frontier only", "random routing"):
        assert row in ran.printed
    assert f"{ITEMS} items · {ITEMS} settled · 0 failed" in ran.printed


def test_the_report_agrees_with_the_lines_of_the_output(ran):
    assert [line["status"] for line in ran.lines] == ["settled"] * ITEMS == ["settled"] * ran.report["settled"]
    assert sum(line["cost_usd"] for line in ran.lines) == pytest.approx(ran.report["cost_usd"], abs=0.005)
    by_tier = {tier: sum(line["tier"] == tier for line in ran.lines) for tier in ("cheap", "frontier")}
    assert by_tier == ran.report["by_tier"]
    assert ran.report["escalation_rate"] == pytest.approx(by_tier["frontier"] / ITEMS)


def test_the_attempts_in_the_database_add_up_to_the_reported_cost(ran):
    with sqlite3.connect(ran.folder / ".firstline" / "firstline.db") as db:
        (paid,) = db.execute("select sum(cost_usd) from attempt where job = ?", (ran.report["job"],)).fetchone()
        (unpriced,) = db.execute("select count(*) from attempt where cost_usd is null").fetchone()
    assert paid == pytest.approx(ran.report["cost_usd"], abs=0.005)
    assert unpriced == ran.report["unpriced_attempts"] == 0


def test_answers_are_the_recorded_ones_of_the_tier_that_gave_them(ran):
    models = {"cheap": "mixtral-8x7b", "frontier": "gpt-4-1106-preview"}
    recordings = map(json.loads, (EXAMPLE / "recordings.jsonl").read_text(encoding="utf-8").splitlines())
    texts = {(line["model"], line["contains"]): line["text"] for line in recordings}
    items = map(json.loads, (EXAMPLE / "items.jsonl").read_text(encoding="utf-8").splitlines())
    problems = {item["id"]: item["problem"] for item in items}
    for line in ran.lines:
        assert line["output"] == texts[models[line["tier"]], problems[line["item_id"]]]


def test_firstline_beats_random_routing_at_the_same_frontier_share_and_costs_less_than_the_frontier(ran):
    baselines = {line["name"]: line for line in ran.report["baselines"]}
    ours = ran.report["quality"]["score_all"]
    assert ours > baselines["random routing"]["quality"] > baselines["cheap only"]["quality"]
    assert baselines["random routing"]["frontier_share"] == pytest.approx(ran.report["escalation_rate"])
    assert ran.report["cost_usd"] < baselines["frontier only"]["cost_usd"] == ran.report["baseline_cost_usd"]
    assert ran.report["saving"] == pytest.approx(1 - ran.report["cost_usd"] / ran.report["baseline_cost_usd"])


def test_a_baseline_is_not_failed_by_the_checks_it_is_compared_without(ran):
    with sqlite3.connect(ran.folder / ".firstline" / "firstline.db") as db:
        states = db.execute(
            "select distinct item.state from item join job on item.job = job.id where job.purpose = 'baseline'"
        ).fetchall()
    assert states == [("settled",)]
