"""The image's lock: everything pinned and hashed, and in step with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "config" / "requirements.lock").read_text("utf-8")
#: What the image installs besides the project's own dependencies.
EXTRAS = ("mcp", "oidc", "otel", "postgres")
ENTRIES = re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).replace("\\\n", " ").strip().splitlines()


def pinned() -> dict[str, list[str]]:
    """Return the versions of each package; more than one where they depend on the Python."""
    found: dict[str, list[str]] = {}
    for entry in ENTRIES:
        requirement = Requirement(entry.partition("--hash")[0])
        (only,) = requirement.specifier
        assert only.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), []).append(only.version)
    return found


def wanted() -> list[str]:
    extras = [line for name in EXTRAS for line in PROJECT["project"]["optional-dependencies"][name]]
    return [*PROJECT["project"]["dependencies"], *extras, *PROJECT["build-system"]["requires"]]


@pytest.mark.parametrize("line", wanted())
def test_what_the_project_asks_for_is_pinned_to_a_version_that_it_allows(line):
    requirement = Requirement(line)
    versions = pinned().get(canonicalize_name(requirement.name))
    assert versions, f"{requirement.name} is missing: run `make lock`"
    assert all(requirement.specifier.contains(version) for version in versions), f"{versions}: run `make lock`"


def test_every_entry_has_hashes():
    without = [entry for entry in ENTRIES if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)]
    assert without == []
    assert len(ENTRIES) > 100


def test_it_names_no_index():
    assert re.findall(r"://|--index|--find-links|--extra-index", LOCK) == []
