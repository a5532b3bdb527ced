"""Answers and providers as they really are, each run whole: nothing wrong in silence, nobody charged for another."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.played_replies import answered, items_shown, playing, plays

DATA = Path(__file__).parents[1] / "data" / "answers"
LABELS = ("refund", "delivery", "other")


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    results: dict[str, dict[str, Any]]
    expected: list[dict[str, Any]]
    statuses: list[int]
    asked: list[dict[str, Any]]


def firstline(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    command = [sys.executable, "-m", "firstline.orchestrator.cli", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=env | {"FIRSTLINE_STATE_DIR": str(folder / "state")},
        text=True,
        encoding="utf-8",
        capture_output=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(case: Path, folder: Path, answer: Callable[[dict[str, Any]], Any] | None) -> Ran:
    shutil.copytree(case, folder, dirs_exist_ok=True)
    with playing(answer or plays(())) as (url, log):
        for tier in (folder / "tiers").iterdir():
            tier.write_text(re.sub(r"http://127\.0\.0\.1:\d+/v1", url, tier.read_text()))
        firstline(folder, "run", "job.yaml", "--out", "results.jsonl", "--json")
    results = {line["item_id"]: line for line in lines_of(folder / "results.jsonl")}
    statuses = [reply.get("status", 200) for _, reply in log]
    expected = lines_of(folder / "expected.jsonl") if (folder / "expected.jsonl").exists() else []
    return Ran(results, expected, statuses, [asked for asked, _ in log])


@pytest.mark.parametrize("name", sorted(folder.name for folder in DATA.iterdir() if folder.is_dir()))
def test_every_row_of_a_case_comes_out_right(name, tmp_path):
    case = DATA / name
    listed = json.loads((case / "plays.json").read_text("utf-8")) if (case / "plays.json").exists() else None
    ran = run(case, tmp_path, plays(listed) if listed is not None else None)
    for row in (row for row in ran.expected if "item_id" in row):
        found = ran.results[row["item_id"]]
        assert found["status"] == "settled", found
        assert "output" not in row or found["output"] == row["output"], found
        assert "tier" not in row or found["tier"] in row["tier"], found
        assert "internal error" not in (found["reason"] or "")
    for row in (row for row in ran.expected if "settled" in row):
        assert sum(line["status"] == "settled" for line in ran.results.values()) == row["settled"]
        assert sum(status == 400 for status in ran.statuses) <= row["refused_calls_in_stub_log_at_most"]


def test_a_mended_answer_says_so(tmp_path):
    ran = run(DATA / "06-think-tags", tmp_path, None)
    mended = {item for item, line in ran.results.items() if line["repaired"]}
    assert mended == {"think_then_fence", "tool_call_tag"}


MISNUMBERED: dict[str, Callable[[list[str]], list[Any]]] = {
    "good": lambda keys: [*keys],
    "ordinals": lambda keys: [*range(1, len(keys) + 1)],
    "from_zero": lambda keys: [*range(len(keys))],
    "fewer": lambda keys: keys[:-2] or keys,
    "none": lambda keys: [None] * len(keys),
    "twice": lambda keys: [keys[0], *keys[:-1]],
    "extra": lambda keys: [*keys, "zzzz"],
    "all_one": lambda keys: [keys[0]] * len(keys),
}


def misnumbered(asked: dict[str, Any]) -> Any:
    """Answer packs under codes that are wrong in the way that the items' text says; single items rightly."""
    things = items_shown(asked, r"pack-(\w+) thing(\d+) is late")
    answers = [{"label": LABELS[int(n) % 3], "quote": f"thing{n} is late"} for _, n in things]
    keys = items_shown(asked, r'<item n="(\w+)">')
    if not keys:
        return answered(json.dumps(answers[-1]), asked["model"])
    given = MISNUMBERED[things[0][0]](keys)
    results = [{"n": key, "answer": answers[min(n, len(answers) - 1)]} for n, key in enumerate(given)]
    return answered(json.dumps({"results": results}), asked["model"])


def test_no_item_of_a_pack_gets_a_neighbours_answer_without_any_check(tmp_path):
    case = tmp_path / "case"
    shutil.copytree(DATA / "10-http-200-errors", case)
    (case / "expected.jsonl").unlink()
    skill = case / "skills" / "label.yaml"
    skill.write_text(skill.read_text().replace("policy:", "pack: 5\npolicy:"))
    items = [
        {"id": f"{kind}-{n}", "text": f"pack-{kind} thing{n} is late"} for kind in MISNUMBERED for n in range(1, 21)
    ]
    (case / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    ran = run(case, tmp_path / "run", misnumbered)
    right = {item["id"]: LABELS[int(item["id"].split("-")[1]) % 3] for item in items}
    assert {item: line["output"]["label"] for item, line in ran.results.items()} == right
    assert any('<item n="' in json.dumps(asked).replace('\\"', '"') for asked in ran.asked)


def test_one_flagged_item_switches_no_model_off(tmp_path):
    case = tmp_path / "case"
    shutil.copytree(DATA / "10-http-200-errors", case)
    (case / "expected.jsonl").unlink()
    names = ["odd403", "odd429", *map(str, range(30))]
    (case / "items.jsonl").write_text(
        "".join(json.dumps({"id": name, "text": f"item-{name}: where is it"}) + "\n" for name in names)
    )
    listed = json.loads((case / "plays.json").read_text("utf-8"))
    odd = [
        {
            "contains": f"item-odd{status}:",
            "model": "small",
            "replies": [{"status": status, "body": {"error": {"message": "not this one", "code": status}}}],
        }
        for status in (403, 429)
    ]
    good = {"contains": "", "replies": listed[-1]["replies"]}
    ran = run(case, tmp_path / "run", plays([*odd, good]))
    tiers = {item: line["tier"] for item, line in ran.results.items()}
    assert {item for item, tier in tiers.items() if tier == "frontier"} == {"odd403", "odd429"}
    assert all(line["status"] == "settled" for line in ran.results.values())
