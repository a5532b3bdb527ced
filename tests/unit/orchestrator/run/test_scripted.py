"""A run on recorded answers tells which of them were written by hand."""

import json
from pathlib import Path

import pytest

from firstline.orchestrator.reports.scripted import scripted_notes
from firstline.schemas.tier import Model, Profile, Service, Tier


def profile(script: Path | None) -> Profile:
    services = (Service(name="simulator", kind="simulator", source=str(script) if script else None),)
    return Profile(name="p", tiers=(Tier(name="cheap", models=(Model(name="openai/m"),)),), services=services)


def write(folder: Path, *answers: dict[str, object]) -> Path:
    lines = [json.dumps({"contains": f"question {n}", **answer}) for n, answer in enumerate(answers)]
    (folder / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    script = folder / "script.yaml"
    script.write_text("recordings: answers.jsonl\n", encoding="utf-8")
    return script


CASES = {
    "one of two": (({"text": "a", "scripted": True}, {"text": "b"}), ["1 answer of"]),
    "both": (({"text": "a", "scripted": True}, {"text": "b", "scripted": True}), ["2 answers of"]),
    "a model that says the word": (({"text": 'a "scripted" b'},), []),
    "marked as not": (({"text": "a", "scripted": False},), []),
}


@pytest.mark.parametrize(("answers", "said"), CASES.values(), ids=CASES)
def test_marked_answers_are_counted(tmp_path, answers, said):
    notes = scripted_notes(profile(write(tmp_path, *answers)))
    assert len(notes) == len(said)
    assert all(words in note and "answers.jsonl" in note for words, note in zip(said, notes, strict=True))


def test_a_report_outlives_its_script(tmp_path):
    script = write(tmp_path, {"text": "a", "scripted": True})
    (tmp_path / "answers.jsonl").unlink()
    assert scripted_notes(profile(script)) == ()
    script.unlink()
    assert scripted_notes(profile(script)) == ()
    assert scripted_notes(profile(None)) == ()
