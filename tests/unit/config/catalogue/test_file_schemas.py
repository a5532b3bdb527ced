"""The schemas that editors get take every file that we take, and mark what we refuse."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from firstline.config.catalogue.file_kinds import FileKind, kind_of
from firstline.config.catalogue.file_schemas import file_schema
from firstline.config.catalogue.yaml_file import parse_yaml, read_yaml
from firstline.orchestrator import cli
from firstline.orchestrator.submission import scaffold

ROOT = Path(__file__).parents[4]
FILES = [
    file
    for folder in ("config", "examples")
    for file in sorted((ROOT / folder).rglob("*.yaml"))
    if "script" not in file.name
]


def faults(kind, data):
    return [error.message for error in jsonschema_rs.validator_for(file_schema(kind)).iter_errors(data)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_file_of_ours_is_in_order(file):
    data = read_yaml(file).data
    if kind := kind_of(data):
        assert faults(kind, data) == []


@pytest.mark.parametrize("name", ["_SKILL", "_WORKFLOW", "_PROFILE", "_JOB"])
def test_what_is_begun_from_a_template_is_in_order(name):
    text = getattr(scaffold, name).substitute(name="mine", workflow="mine", source="a.csv")
    data = parse_yaml(text.encode(), Path("mine.yaml")).data
    assert faults(kind_of(data), data) == []


SKILL = {"instructions": "Sort.", "input": {"text": {}}, "output": {"type": "string"}}


@pytest.mark.parametrize("more", [{}, {"compare": "judge"}, {"compare": {"a": "exact", "b": {"by": "number"}}}])
def test_names_and_words_may_be_left_out(more):
    assert faults(FileKind.SKILL, {**SKILL, **more}) == []


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (FileKind.SKILL, {**SKILL, "instruction": "x"}, "'instruction' was unexpected"),
        (FileKind.SKILL, {**SKILL, "checks": [{"kind": "one_off"}]}, "one_off"),
        (FileKind.SKILL, {"instructions": "Sort."}, '"input" is a required property'),
        (FileKind.JOB, {"workflow": "w", "rerun": "never"}, "never"),
        (FileKind.WORKFLOW, {"steps": []}, "[] has less than 1 item"),
    ],
)
def test_what_is_refused_is_marked(kind, data, said):
    assert said in " ".join(faults(kind, data))


def test_fields_say_what_they_mean():
    properties = file_schema(FileKind.JOB)["properties"]
    assert properties["limit"]["description"] == "Only the first so many items."
    assert "file" not in properties


def test_the_command_prints_one_or_writes_all(tmp_path, capsys):
    assert cli.main(["schema", "tool"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Firstline tool"
    assert cli.main(["schema", "--out", str(tmp_path / "s")]) == 0
    assert {file.name for file in (tmp_path / "s").iterdir()} == {f"{kind}.schema.json" for kind in FileKind}
    assert cli.main(["schema"]) == 2
    assert "expected one of skill, workflow" in capsys.readouterr().err
