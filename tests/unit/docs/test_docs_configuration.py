"""docs/configuration.md names every field there is, and its examples are in order."""

import re
from pathlib import Path
from typing import get_args

import pytest

from firstline.config.catalogue.check import check_document
from firstline.config.catalogue.yaml_file import parse_yaml
from firstline.config.settings import Settings
from firstline.schemas.check import CheckSpec
from firstline.schemas.jobfile import JobFile
from firstline.schemas.plan import Quality, Step, Workflow
from firstline.schemas.policy import Policy, Signal
from firstline.schemas.skill import Example, InputField, Skill
from firstline.schemas.tier import Limits, Model, Price, Profile, Service, Tier
from firstline.schemas.tool import ToolLimits, ToolSpec
from firstline.workers.tools.registry import KINDS

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
CHECKS = get_args(get_args(CheckSpec)[0])
DESCRIBED = {
    "Skill": (Skill, InputField, Example, Policy, Signal, *CHECKS),
    "Workflow": (Workflow, Step, Quality),
    "Tool": (ToolSpec, ToolLimits),
    "Profile": (Profile, Tier, Model, Price, Limits, Service),
    "Job file": (JobFile,),
}


@pytest.mark.parametrize("section", DESCRIBED)
def test_every_field_is_named_in_its_section(section):
    words = set(re.findall(r"`([a-z_]+)`", SECTIONS[section]))
    fields = {name for model in DESCRIBED[section] for name in model.model_fields}
    assert fields - words == set()


def test_every_kind_of_tool_is_named_with_its_options():
    words = set(re.findall(r"`([a-z_]+)`", SECTIONS["Tool"]))
    assert set(KINDS) - words == set()
    assert {name for kind in KINDS.values() for name in kind.options.model_fields} - words == set()


def test_every_setting_is_named():
    named = set(re.findall(r"`FIRSTLINE_([A-Z_]+)`", SECTIONS["Settings"]))
    assert named == {name.upper() for name in Settings.model_fields}


def test_every_kind_of_check_is_named():
    kinds = {get_args(check.model_fields["kind"].annotation)[0] for check in CHECKS}
    assert kinds - set(re.findall(r"`([a-z_]+)`", SECTIONS["Skill"])) == set()


@pytest.mark.parametrize("section", ["Skill", "Workflow", "Job file"])
def test_every_example_is_in_order(section, tmp_path):
    kind, problems = check_document(parse_yaml(BLOCKS[section].encode(), tmp_path / "example.yaml"))
    assert kind in ("skill", "workflow", "job")
    assert problems == ()


def test_no_example_is_left_unchecked():
    assert PAGE.count("```yaml") == len(BLOCKS) == 3
