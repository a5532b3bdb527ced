"""The use cases of `examples/`, each run offline on real processes: its quality is what README.md says."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Ran:
    """What a run printed and left behind."""

    printed: str
    report: dict[str, Any]
    lines: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Any:
    known: dict[str, Ran] = {}

    def run(name: str) -> Ran:
        if name not in known:
            known[name] = _run(name, tmp_path_factory.mktemp(name))
        return known[name]

    return run


def _run(name: str, folder: Path) -> Ran:
    printed = _firstline(folder, "run", str(EXAMPLES / name / "job.yaml"), "--out", "out.jsonl")
    report = json.loads(_firstline(folder, "report", "--json"))
    lines = map(json.loads, (folder / "out.jsonl").read_text(encoding="utf-8").splitlines())
    return Ran(printed, report, {line["item_id"]: line for line in lines})


def _firstline(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    command = [sys.executable, "-m", "firstline.orchestrator.cli", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=env, text=True, encoding="utf-8", capture_output=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _items(name: str) -> dict[str, dict[str, Any]]:
    items = map(json.loads, (EXAMPLES / name / "items.jsonl").read_text(encoding="utf-8").splitlines())
    return {item["id"]: item for item in items}


#: Example -> least and most quality (README.md of each has the figure of its recordings).
QUALITY = {
    "contract_review": (0.6, 0.95),
    "content_production": (0.6, 1.0),
    "research_synthesis": (0.4, 1.0),
    "data_enrichment": (0.4, 0.95),
}


@pytest.mark.parametrize("name", QUALITY)
def test_an_example_runs_offline_and_prints_its_quality(ran, name):
    done, (least, most) = ran(name), QUALITY[name]
    assert set(done.lines) >= set(_items(name))
    assert done.report["state"] == "done"
    assert done.report["failed"] <= 0.1 * done.report["items"]
    assert "Quality: " in done.printed
    assert "with ground truth" in done.printed
    assert least <= done.report["quality"]["score_all"] <= most
    assert done.report["cost_usd"] > 0
    assert done.report["unpriced_attempts"] == 0
    # Reviews, second rounds and summaries count; the top tier alone is one answer an item and step.
    assert done.report["saving"] > 0


def test_every_clause_quoted_of_a_licence_stands_in_its_text(ran):
    texts = {name: " ".join(item["text"].split()) for name, item in _items("contract_review").items()}
    lines = ran("contract_review").lines
    # The last line of the output is the whole job's summary, not a licence.
    reviews = {name: lines[name]["output"] for name in texts if lines[name]["output"]}
    quotes = [
        (name, clause["quote"]) for name, found in reviews.items() for family in found.values() for clause in family
    ]
    assert len(quotes) > 5 * len(reviews)
    assert [quote for name, quote in quotes if quote not in texts[name]] == []


def test_every_citation_of_an_answer_is_a_passage_that_was_found(ran):
    for line in ran("research_synthesis").lines.values():
        known = {passage["id"] for name in ("found_1", "found_2") for passage in line["output"][name]}
        cited = set(re.findall(r"\[([a-z0-9-]+#\d+)\]", line["output"]["answer"]))
        assert cited
        assert cited <= known


def test_every_marked_slot_stands_in_the_utterance(ran):
    texts = {name: item["text"] for name, item in _items("data_enrichment").items()}
    for name, line in ran("data_enrichment").lines.items():
        for marked in (line["output"] or {"slots": []})["slots"]:
            assert marked["text"].casefold() in texts[name].casefold()


def test_what_was_written_by_hand_is_said_in_the_output(ran):
    assert "written by hand, not said by a model: 4 answers" in ran("content_production").printed
    assert "written by hand, not said by a model: 1 answer " in ran("data_enrichment").printed
    assert "written by hand" not in ran("research_synthesis").printed


def test_an_article_has_the_headings_of_its_draft(ran):
    for line in ran("content_production").lines.values():
        headings = [text for text in line["output"]["draft"].splitlines() if text.startswith("#")]
        assert [text for text in headings if text not in line["output"]["article"]] == []
