"""Stopped in the middle, by Ctrl-C or by kill -9, and gone on with as the command line says: all is answered once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

ITEMS = 240
SKILL = """
name: sort
instructions: Choose a label.
input: {text: {}}
output: {type: object, properties: {label: {enum: [a, b]}}, required: [label], additionalProperties: false}
"""
PROFILE = """
name: sim
tiers:
  - name: cheap
    concurrency: 8
    models: [{name: openai/small, api_base: service:sim, price: {input: 1, output: 1}}]
  - name: frontier
    models: [{name: openai/large, api_base: service:sim, price: {input: 9, output: 9}}]
services: [{name: sim, kind: simulator, source: ../../script.yaml}]
"""
SCRIPT = "models: {small: {answer: from_schema, latency: 0.3}, large: {answer: from_schema, latency: 0.3}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name, text in (("skills/sort", SKILL), ("tiers/sim", PROFILE)):
        (tmp_path / "firstline" / f"{name}.yaml").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "firstline" / f"{name}.yaml").write_text(text)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    lines = (json.dumps({"id": str(n), "text": f"text {n}"}) for n in range(ITEMS))
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    return tmp_path


def _started(folder: Path, *arguments: str, out: int | IO[str] = subprocess.PIPE) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLINE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "firstline.orchestrator.cli", *arguments],
        cwd=folder,
        env=env | {"FIRSTLINE_PROFILE": "sim"},
        text=True,
        stdout=out,
        stderr=out,
    )


def _said(folder: Path, *arguments: str, exit_code: int = 0) -> str:
    process = _started(folder, *arguments)
    out, err = process.communicate(timeout=100)
    assert process.returncode == exit_code, out + err
    return out + err


def _job(folder: Path) -> dict[str, object]:
    process = _started(folder, "jobs", "--json")
    jobs = json.loads(process.communicate(timeout=30)[0])
    return dict(jobs[0]) if jobs else {}


def _stopped_in_the_middle(folder: Path, number: signal.Signals) -> str:
    """Start a run, send it a signal when some of its items are done, and return what it said."""
    screen = folder / "screen.txt"
    with screen.open("w") as out:
        process = _started(folder, "run", "sort", "--input", "items.jsonl", "--profile", "sim", out=out)
    gives_up_at = time.monotonic() + 60
    while not re.search(rf"\b[1-9]\d*/{ITEMS} items", screen.read_text("utf-8")):
        assert process.poll() is None
        assert time.monotonic() < gives_up_at, "no item was done in a minute"
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(timeout=60)
    return screen.read_text("utf-8")


def _check_answered_once(folder: Path, job: str) -> None:
    report = json.loads(_said(folder, "report", job, "--json"))
    assert (report["settled"], report["failed"]) == (ITEMS, 0)
    assert [line["accepted"] for line in report["models"]] == [ITEMS]
    lines = [json.loads(line) for line in _said(folder, "results", job).splitlines()]
    assert len({line["item_id"] for line in lines}) == len(lines) == ITEMS
    assert sum(line["attempts"] for line in lines) == ITEMS


@pytest.mark.long
@pytest.mark.timeout(240)
def test_ctrl_c_says_how_to_go_on_and_that_goes_on(folder):
    said = _stopped_in_the_middle(folder, signal.SIGINT)
    told = re.search(r"Go on: firstline (resume \S+?);", said)
    assert told, said
    command = told[1].split()
    assert "Traceback" not in said
    assert _job(folder)["state"] == "paused"
    _said(folder, *command)
    _check_answered_once(folder, command[1])


@pytest.mark.timeout(240)
@pytest.mark.long
def test_a_run_that_was_killed_is_gone_on_with(folder):
    _stopped_in_the_middle(folder, signal.SIGKILL)
    job = str(_job(folder)["job"])
    _said(folder, "resume", job)
    _check_answered_once(folder, job)
