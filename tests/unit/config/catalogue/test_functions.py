"""A user's function is found by its path, from the user's folder first, and shadows nothing of ours."""

import json
import sys
from pathlib import Path

import pytest

from firstline.config.catalogue.functions import load
from firstline.schemas.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "LIMIT = 3\ndef double(x): return 2 * x\nclass Tools:\n    @staticmethod\n    def one(): return 1\n"
    )
    (tmp_path / "json.py").write_text("def dumps(x): return 'mine'\n")
    (tmp_path / "schemas.py").write_text("def f(): return 'mine'\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "raising.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "needy.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "near.py").write_text("NUMBER = 7\n")
    (tmp_path / "pack" / "far.py").write_text("from .near import NUMBER\ndef number(): return NUMBER\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "arguments", "expected"),
    [
        ("mine:double", (4,), 8),
        ("mine.double", (4,), 8),
        ("mine:Tools.one", (), 1),
        ("pack.far:number", (), 7),
        ("json:dumps", (1,), "mine"),
        ("textwrap:dedent", (" a",), "a"),
    ],
)
def test_a_function_is_found(folder: Path, path: str, arguments: tuple[object, ...], expected: object) -> None:
    assert load(path, folders=(folder,))(*arguments) == expected


def test_a_users_module_shadows_neither_the_standard_library_nor_us(folder: Path) -> None:
    load("json:dumps", folders=(folder,))
    load("schemas:f", folders=(folder,))
    assert json.dumps(1) == "1"
    assert sys.modules["json"] is json
    assert "firstline.schemas.errors" in sys.modules
    assert str(folder) not in sys.path


def project(root: Path, *, limit: int) -> Path:
    """Make a project with a `config` of its own and functions that use it; returns the folder of functions."""
    functions = root / "functions"
    (functions / "kit").mkdir(parents=True)
    (root / "workers").mkdir()
    (root / "config.py").write_text(f"LIMIT = {limit}\n")
    (root / "workers" / "__init__.py").write_text("")
    (root / "workers" / "pay.py").write_text("import config\nRATE = config.LIMIT * 10\n")
    (functions / "near.py").write_text("import json\nfrom config import LIMIT\ndef limit(): return json.dumps(LIMIT)\n")
    (functions / "kit" / "__init__.py").write_text("")
    (functions / "kit" / "tools.py").write_text("NAME = 'tools'\n")
    (functions / "score.py").write_text(
        "import near\n"
        "import workers.pay\n"
        "from kit import tools\n"
        "def answer():\n"
        "    from near import limit\n"
        "    return [near.limit(), limit(), workers.pay.RATE, tools.NAME]\n"
    )
    return functions


def test_a_users_function_imports_its_neighbours_and_its_own_projects_modules(tmp_path: Path) -> None:
    first = project(tmp_path / "first", limit=3)
    second = project(tmp_path / "second", limit=4)
    assert load("score:answer", folders=(first,))() == ["3", "3", 30, "tools"]
    assert load("score:answer", folders=(second,))() == ["4", "4", 40, "tools"]
    assert not {"near", "config", "workers", "kit"} & set(sys.modules)


def test_the_same_name_in_two_folders_is_two_modules(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "mine.py").write_text("def double(x): return 'other'\n")
    assert load("mine:double", folders=(other, folder))(1) == "other"
    assert load("mine:double", folders=(folder, other))(1) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "expected a function as module:function"),
        ("mine", "expected a function as module:function"),
        ("mine:", "expected a function as module:function"),
        ("../mine:double", "expected a function as module:function"),
        ("/etc/passwd:x", "expected a function as module:function"),
        ("..mine:double", "expected a function as module:function"),
        ("nowhere_at_all:f", "there is no module 'nowhere_at_all'"),
        ("mine:tripple", "has no 'tripple'; it has: Tools, double"),
        ("mine:LIMIT", "expected a function, got int"),
        ("broken:f", "raised SyntaxError"),
        ("raising:f", "raised SystemExit"),
        ("needy:f", "not_installed_anywhere"),
        ("json.nothing.at:all", "raised ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, path: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        load(path, folders=(folder,) if path != "json.nothing.at:all" else ())
