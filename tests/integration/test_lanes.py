"""`firstline run` of a job with a deadline: on the slow lane, off it where that is full, billed as served."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import parse_script

SCRIPT = """
models:
  m:
    answer: {kind: fixed, text: '{"label": "a"}'}
    latency: 0.1
    cache_from_tokens: null
    faults:
      - {kind: lane_full, service_tier: flex, first: 1}
"""
#: Dollars a million tokens.
IN, OUT = 2.0, 8.0
SHARE = {"flex": 0.5, "standard": 1.0}
SKILL = {
    "name": "label",
    "version": 1,
    "instructions": "Sort it.",
    "input": {"text": {"description": "The text."}},
    "output": {
        "type": "object",
        "properties": {"label": {"enum": ["a", "b"]}},
        "required": ["label"],
        "additionalProperties": False,
    },
}


def firstline(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    done = subprocess.run(
        [sys.executable, "-m", "firstline.orchestrator.cli", *arguments],
        cwd=folder,
        env=env | {"FIRSTLINE_STATE_DIR": str(folder / "state")},
        text=True,
        encoding="utf-8",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ladder(url: str) -> dict[str, Any]:
    price = {"input": IN, "output": OUT, "lanes": {"flex": {"input": IN / 2, "output": OUT / 2}}}
    tier = {
        "name": "cheap",
        "service_tier": "flex",
        # Left alone for no longer than one answer takes, so that later items are on it again.
        "slow_lane": {"pause_s": 0.05},
        "concurrency": 1,
        "models": [{"name": "openai/m", "api_base": f"{url}/v1", "structured": ["prompt"], "price": price}],
    }
    return {"name": "slow", "tiers": [tier]}


@pytest.mark.timeout(180)
def test_a_job_with_time_goes_on_flex_falls_back_where_it_is_full_and_is_billed_as_it_was_served(
    tmp_path: Path,
) -> None:
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "label.yaml").write_text(yaml.safe_dump(SKILL))
    (tmp_path / "items.jsonl").write_text("".join(json.dumps({"text": f"item {n}"}) + "\n" for n in range(6)))
    log = tmp_path / "paid.jsonl"
    with running(parse_script(SCRIPT), log=log) as url:
        job = {
            "name": "slow",
            "workflow": "label",
            "input": "items.jsonl",
            "profile": ladder(url),
            "deadline": (datetime.now(UTC) + timedelta(hours=3)).isoformat(),
            "budget_usd": 1.0,
        }
        (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
        report = json.loads(firstline(tmp_path, "run", "job.yaml", "--json"))
        stats = httpx.get(f"{url}/stats").json()
    paid = [json.loads(line) for line in log.read_text().splitlines()]
    # One is turned away, asked again at once on the ordinary lane, and the model answers the others on flex.
    assert stats["models"]["m"]["outcomes"] == {"200": 6, "429": 1}
    assert sorted(call["service_tier"] or "standard" for call in paid) == ["flex"] * 5 + ["standard"]
    bill = sum(
        (call["input_tokens"] * IN + call["output_tokens"] * OUT) / 1e6 * SHARE[call["service_tier"] or "standard"]
        for call in paid
    )
    assert report["cost_usd"] == pytest.approx(bill, rel=1e-9)
    assert report["settled"] == 6
    lanes = {line["lane"]: (line["answered"], line["turned_away"]) for line in report["lanes"]}
    assert lanes == {"standard": (1, 0), "flex": (5, 1)}
    stories = (firstline(tmp_path, "item", report["job"], f"#{n + 1}") for n in range(6))
    told = next(story for story in stories if "is full" in story)
    assert "verdict: refused: the lane 'flex' is full; asked again at once on the ordinary one" in told
    assert "$0.0000 on lane flex" in told
