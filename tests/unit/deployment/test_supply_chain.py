"""What CI says of the packages that the image installs: licences, known holes, and where nothing could be looked up."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "config" / "requirements.lock").read_text("utf-8")


@pytest.fixture
def chain():
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / ".ci" / "supply_chain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def auditor(folder: Path, monkeypatch: pytest.MonkeyPatch, said: str, code: int = 0) -> None:
    """Put a `pip-audit` first on the path that says this."""
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_every_package_of_the_lock_is_looked_at_and_its_licence_will_do(chain, capsys):
    assert set(chain.pinned()) == set(re.findall(r"^([\w.-]+)==", LOCK, flags=re.MULTILINE))
    assert chain.wrong_licences() == []
    assert int(re.search(r"(\d+) packages looked at", capsys.readouterr().out)[1]) > 100


@pytest.mark.parametrize(
    ("licence", "will_do"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("MIT OR GPL-2.0-only", True),
        ("AGPL-3.0-only", False),
        ("GPL-3.0-or-later", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("GNU Affero General Public License v3", False),
        ("SSPL-1.0", False),
    ],
)
def test_a_licence_that_binds_who_ships_the_image_is_refused(chain, monkeypatch, licence, will_do):
    monkeypatch.setattr(chain, "pinned", lambda: iter(["one"]))
    monkeypatch.setattr(chain, "licence_of", lambda package: licence)
    assert (chain.wrong_licences() == []) is will_do


def test_a_known_hole_is_named(chain, monkeypatch, tmp_path):
    found = [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}, {"name": "b", "version": "2", "vulns": []}]
    auditor(tmp_path, monkeypatch, json.dumps({"dependencies": found}), 1)
    assert chain.holes() == ["a 1: CVE-1"]


@pytest.mark.parametrize("said", ['{"dependencies": [{"name": "a", "skip_reason": "not found"}]}', "cannot connect"])
def test_where_no_database_is_reached_it_says_so(chain, monkeypatch, tmp_path, capsys, said):
    auditor(tmp_path, monkeypatch, said)
    assert chain.holes() == []
    assert "SKIPPED" in capsys.readouterr().out
