"""A skill made of a prompt, a schema and rows."""

import json

import pytest

from firstline.config.settings import get_settings
from firstline.orchestrator.experiments.prompt_skill import signals_for, skill_of_prompt
from firstline.schemas.errors import UserError

SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "home" / "skills").mkdir(parents=True)
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    (tmp_path / "Sort mails.txt").write_text("Say what the mail is about.")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "rows.jsonl").write_text('{"id": "1", "text": "hello", "gold": "a"}\n')
    return tmp_path


def test_an_answer_with_labels_gives_the_margin_between_them():
    assert [signal.kind for signal in signals_for(SCHEMA)] == ["margin", "mean_logprob"]


def test_a_text_gives_the_mean_log_probability():
    assert [signal.kind for signal in signals_for({"type": "string"})] == ["mean_logprob"]


def test_a_prompt_needs_rows_to_show(files):
    with pytest.raises(UserError, match="--input"):
        skill_of_prompt(files / "Sort mails.txt", None, rows=None, gold=None)


def test_an_empty_prompt_is_refused(files):
    (files / "empty.txt").write_text("  ")
    with pytest.raises(UserError, match="is empty"):
        skill_of_prompt(files / "empty.txt", None, rows=str(files / "rows.jsonl"), gold=None)


def test_a_schema_that_is_no_json_is_refused(files):
    (files / "bad.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        skill_of_prompt(files / "Sort mails.txt", files / "bad.json", rows=str(files / "rows.jsonl"), gold=None)


def test_the_prompt_is_shown_the_rows_fields_without_id_and_gold(files):
    name, file = skill_of_prompt(
        files / "Sort mails.txt", files / "schema.json", rows=str(files / "rows.jsonl"), gold="gold"
    )
    text = file.read_text()
    assert name == "sort_mails"
    assert "text:" in text
    assert "gold" not in text
