"""The reference of the docs site is written from the code: nothing of it may be missing."""

import importlib.util
import re
from pathlib import Path

import pytest

from firstline.config.settings import Settings
from firstline.orchestrator.cli import _commands
from firstline.schemas.skill import Skill

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "_site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_stands_there_with_its_options(reference):
    page = "\n".join(reference._cli())
    for name in _commands._names():
        assert f"## firstline {name}\n" in page
    assert "`--open`" in page.split("## firstline run\n")[1].split("\n## ")[0]
    assert "| 130 |" in page


def test_every_field_and_setting_stands_there_with_what_its_comment_says(reference):
    fields = "\n".join(reference._yaml())
    for name in Skill.model_fields:
        assert f"| `{name}` |" in fields
    assert "In order: the first that has a value counts." in fields
    settings = "\n".join(reference._settings())
    assert all(f"`FIRSTLINE_{name.upper()}`" in settings for name in Settings.model_fields)


def test_every_route_metric_and_event_stands_there(reference):
    assert "`GET /v1/jobs/{job}/items/{item}`" in "\n".join(reference._http())
    assert "`firstline_calls_total`" in "\n".join(reference._metrics())
    events = "\n".join(reference._log_events())
    assert "| `audit.drifted` | warning |" in events
    assert "| `budget.reached` | warning |" in events


def test_the_sites_pages_are_all_of_docs(reference):
    named = set(re.findall(r": ([\w/.-]+\.md)$|- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    shown = {first or second for first, second in named}
    own = {str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md")}
    assert own <= shown, "mkdocs.yml does not lead to these"


def test_the_readme_leads_to_every_page_in_one_table():
    table = (ROOT / "README.md").read_text("utf-8").partition("\n## More\n")[2]
    linked = set(re.findall(r"\]\(docs/([\w/]+\.md)\)", table))
    own = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    assert {page for page in own if not page.startswith("decisions/")} <= linked
    assert "decisions/README.md" in linked
