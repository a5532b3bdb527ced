"""Versions of a skill are kept, compared, taken and rolled back."""

from pathlib import Path

import pytest

from firstline.config.catalogue.catalogue import load_catalogue
from firstline.config.catalogue.yaml_file import read_yaml
from firstline.config.settings import get_settings
from firstline.orchestrator.experiments.prompt_versions import (
    difference,
    dump,
    find_skill,
    keep,
    next_version,
    roll_back,
    take,
    versions,
)
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Skill

TEXT = """# mine, with a remark, and named by its file
instructions: |
  Sort it.

  Rules
  1. no: "yes" or 12:30.
input: {text: {}}
output: {type: string}
examples:
  - {input: {text: "no"}, output: "0o17"}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path / "home"))
    file = tmp_path / "home" / "skills" / "sort.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    get_settings.cache_clear()
    yield file.parent
    get_settings.cache_clear()


def changed(version: int, words: str = "Sort it well."):
    return find_skill("sort").skill.evolve(version=version, instructions=words)


def test_every_built_in_skill_reads_back_as_it_was_dumped(home):
    for skill in load_catalogue(()).skills:
        (home / "copy.yaml").write_text(dump(skill))
        assert read_yaml(home / "copy.yaml").parse(Skill) == skill


def test_texts_that_look_like_other_things_read_back_as_texts(home):
    skill = find_skill("sort").skill
    (home / "copy.yaml").write_text(dump(skill))
    assert read_yaml(home / "copy.yaml").parse(Skill) == skill


def test_a_kept_version_is_not_live_until_it_is_taken(home):
    keep(find_skill("sort"), changed(2))
    assert load_catalogue().skill("sort").version == 1
    assert [(one.version, one.live) for one in versions(find_skill("sort"))] == [(2, False), (1, True)]
    take(find_skill("sort"), 2)
    assert load_catalogue().skill("sort").instructions == "Sort it well."
    assert [(one.version, one.live) for one in versions(find_skill("sort"))] == [(2, True), (1, False)]


def test_going_back_restores_the_file_as_it_was_remarks_and_all(home):
    keep(find_skill("sort"), changed(2))
    take(find_skill("sort"), 2)
    assert roll_back(find_skill("sort")).version == 1
    assert (home / "sort.yaml").read_text() == TEXT
    assert next_version(find_skill("sort")) == 3


def test_a_live_file_that_was_edited_by_hand_is_kept_beside_the_version_of_its_number(home):
    keep(find_skill("sort"), changed(2))
    take(find_skill("sort"), 2)
    take(find_skill("sort"), 1)
    (home / "sort.yaml").write_text(TEXT.replace("Sort it.", "Sort it by hand."))
    take(find_skill("sort"), 2)
    kept = [Path(one.file).read_text() for one in versions(find_skill("sort")) if one.version == 1]
    assert len(kept) == 2
    assert any("by hand" in text for text in kept)


def test_a_built_in_skill_is_never_written_to_its_next_version_goes_into_the_user_s_folder(home):
    built_in = find_skill("summarize")
    before = built_in.file.read_text()
    keep(built_in, built_in.skill.evolve(version=2, instructions="Sum it up."))
    take(built_in, 2)
    assert built_in.file.read_text() == before
    assert load_catalogue().skill("summarize").version == 2
    roll_back(find_skill("summarize"))
    assert load_catalogue().skill("summarize") == built_in.skill


def test_the_difference_shows_what_changed_and_not_how_lines_were_broken(home):
    keep(find_skill("sort"), changed(2, "Sort it well."))
    shown = difference(find_skill("sort"), 1, 2)
    assert "+instructions: Sort it well." in shown
    assert "remark" not in shown
    assert difference(find_skill("sort"), 1, 1) == ""


@pytest.mark.parametrize(
    ("act", "words"),
    [
        pytest.param(lambda found: take(found, 7), "no version 7; it has 1", id="unknown version"),
        pytest.param(lambda found: take(found, 1), "version 1 of 'sort' is live already", id="live already"),
        pytest.param(roll_back, "no version before 1 to go back to", id="nothing before"),
        pytest.param(lambda _: find_skill("sorte"), "no skill is called 'sorte'", id="unknown skill"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(home, act, words):
    with pytest.raises(UserError, match=words):
        act(find_skill("sort"))
