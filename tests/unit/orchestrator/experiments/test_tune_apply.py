"""What `firstline tune --apply` writes of a pipeline whose prompt shows the top model's answers."""

import pytest

from firstline.config.settings import get_settings
from firstline.orchestrator.experiments.prompt_versions import find_skill, versions
from firstline.orchestrator.experiments.tune_apply import with_examples
from firstline.orchestrator.experiments.tune_report import StepTuned
from firstline.schemas.errors import UserError
from firstline.schemas.skill import Example

SKILL = """
# mine, with a remark
name: sort
instructions: Sort it.
input: {text: {}}
output: {enum: [a, b]}
examples:
  - {input: {text: "one"}, output: a}
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTLINE_HOME", str(tmp_path))
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "sort.yaml").write_text(SKILL)
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def tuned(skill: str) -> StepTuned:
    shown = (Example(input={"text": "two"}, output="b"), Example(input={"text": "one more"}, output="a"))
    return StepTuned(
        step="s", skill=skill, top_model="top", top_usd_per_1000_rows=1.0, candidates=(), model="m", examples=shown
    )


def test_the_examples_become_a_live_version_beside_the_one_that_was(home):
    before = find_skill("sort").skill
    skill, file = with_examples(tuned("sort"))
    live = find_skill("sort")
    assert live.skill == skill
    assert str(live.file) == file
    assert [one.output for one in skill.examples] == ["a", "b", "a"]
    assert skill.digest != before.digest
    assert [(one.version, one.live) for one in versions(live)] == [(2, True), (1, False)]
    assert "# mine, with a remark" in live.file.read_text()


def test_a_skill_without_a_file_is_named(home):
    with pytest.raises(UserError, match="sorted"):
        with_examples(tuned("sorted"))
