"""What `firstline check` says of skills that are in order."""

import pytest

from firstline.config.catalogue.check import check_path

SKILL = """
name: label
version: 1
description: Sorts.
instructions: Sort it.
input: {text: {}}
output: {type: object, properties: {label: {type: string}}, required: [label]}
"""


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        pytest.param("pack: 5\n", True, id="no check"),
        pytest.param("pack: 5\nchecks: [{kind: length, field: label, max: 9}]\n", True, id="a check of answers alone"),
        pytest.param("pack: 5\nchecks: [{kind: grounded, field: label}]\n", False, id="a check against the item"),
        pytest.param("", False, id="no pack"),
    ],
)
def test_a_pack_without_a_check_against_its_items_is_warned_of(tmp_path, more, warned):
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "label.yaml").write_text(SKILL + more)
    report = check_path(tmp_path)
    assert report.ok, report.problems
    assert any("packs 5 items" in note for note in report.notes) is warned


def test_a_format_that_nothing_checks_is_warned_of(tmp_path):
    (tmp_path / "skills").mkdir()
    file = tmp_path / "skills" / "label.yaml"
    file.write_text(SKILL.replace("label: {type: string}", "label: {type: string, format: phone}"))
    report = check_path(tmp_path)
    assert report.ok
    told = f"skill 'label' of {file}: output.properties.label.format: nothing checks the format 'phone'"
    assert sum(note.startswith(told) for note in report.notes) == 1
    assert len(report.notes) == 2
