"""Answers in prose on real processes: other words are not lost, wrong ones are found, a judge's error is counted."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import commands

#: A busy machine takes minutes for what an idle one does in seconds.
pytestmark = pytest.mark.timeout(400)
COUNT = 120
SKILL = """
name: reply
instructions: Say when the shop opens on the day that the ticket asks about.
input: {text: {}}
output: {type: object, properties: {reply: {type: string}}, required: [reply], additionalProperties: false}
confidence: [{kind: function, path: "hint:clear"}]
compare: judge
judge: {rubric: The same opening hour.}
policy: {attempts_per_tier: 1, audit_share: 0.6, max_loss: 0.3}
"""
HINT = """
def clear(answer, item):
    return float(item["text"].rpartition("clear ")[2])
"""
PROFILE = """
name: sim
tiers:
  - name: cheap
    models: [{name: openai/small, api_base: service:sim, price: {input: 0.1, output: 0.2}}]
  - name: frontier
    models: [{name: openai/large, api_base: service:sim, price: {input: 5, output: 10}}]
services: [{name: sim, kind: simulator, source: ../../script.yaml}]
"""
SCRIPT = "recordings: recordings.jsonl\nmodels: {small: {latency: 0}, large: {latency: 0}}\n"

Run = Callable[..., Any]


def mark(n: int) -> str:
    return f"Ticket {n:04d}x"


@pytest.fixture(scope="module")
def wrong() -> set[int]:
    """The items on which the small model names another hour, one in six; clear tickets are seldom among them."""
    rng = random.Random(5)
    return {n for n in range(COUNT) if rng.random() < 1 / 6}


@pytest.fixture(scope="module")
def firstline(tmp_path_factory: pytest.TempPathFactory, wrong: set[int]) -> Iterator[Run]:
    """A shop's tickets, two models that answer in other words, and a judge that is wrong about one pair in ten."""
    folder = tmp_path_factory.mktemp("prose")
    files = {"skills/reply.yaml": SKILL, "tiers/sim.yaml": PROFILE, "functions/hint.py": HINT}
    for name, text in files.items():
        (folder / "firstline" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "firstline" / name).write_text(text)
    (folder / "script.yaml").write_text(SCRIPT)
    rng = random.Random(6)
    lines, items = [], []
    for n in range(COUNT):
        small = f"{mark(n)}: the shop opens at {'noon' if n in wrong else 'nine in the morning'} on that day."
        same = (n not in wrong) != (rng.random() < 0.1)
        told = {"difference": "none" if same else "The hour.", "same": same}
        items.append(
            {"id": f"t{n}", "text": f"{mark(n)} asks for the hours, clear {rng.random() * (0.5 if n in wrong else 1)}"}
        )
        lines += [
            {"model": "small", "contains": f"{mark(n)} asks for", "text": json.dumps({"reply": small})},
            {
                "model": "large",
                "contains": f"{mark(n)} asks for",
                "text": json.dumps({"reply": f"From 9:00 on ({n})."}),
            },
            {"model": "large", "contains": small, "text": json.dumps(told)},
        ]
    for name, rows in (("recordings", lines), ("items", items)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with commands(folder, "cheap", "frontier", profile="sim") as typed:

        def run(*arguments: str, exit_code: int = 0) -> Any:
            done = typed(*arguments)
            assert done.code == exit_code, done
            return json.loads(done.out) if "--json" in arguments and exit_code == 0 else done.out + done.err

        run.folder = folder  # type: ignore[attr-defined]
        yield run


def label(folder: Path) -> None:
    """Do what a person does: say of each drawn pair whether both answers name the same hour."""
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    lines = [json.dumps(pair | {"same": "noon" not in json.dumps(pair)}) for pair in pairs]
    (folder / "pairs.jsonl").write_text("\n".join(lines))


def test_prose_is_audited_on_the_word_of_a_judge_that_is_measured(firstline, wrong):
    refused = firstline("calibrate", "reply", "--input", "items.jsonl", exit_code=2)
    assert "nobody has measured how often it is wrong" in refused
    firstline("run", "reply", "--input", "items.jsonl", "--json")
    (before,) = firstline("audits", "--json")
    assert (before["state"], before["pending"]) == ("unmeasured", 0)
    audited = before["loss"]["audited"]
    assert audited > COUNT / 3
    assert 0 < before["loss"]["losses"] < audited / 2, "the same in other words was lost"

    firstline("judge", "reply", "--draw", "120", "--out", "pairs.jsonl")
    label(firstline.folder)
    measured = firstline("judge", "reply", "--pairs", "pairs.jsonl", "--json")
    assert measured["error"]["same"] > measured["error"]["different"] > 0
    assert 0 < measured["error"]["alarms"] < measured["error"]["same"] / 4

    (after,) = firstline("audits", "--json")
    assert after["loss"]["losses"] == before["loss"]["losses"]
    assert after["state"] in ("watched", "sound")
    assert after["loss"]["low"] <= len(wrong) / COUNT <= after["loss"]["high"]
    assert after["loss"]["low"] <= after["loss"]["estimate"] <= after["loss"]["high"]
