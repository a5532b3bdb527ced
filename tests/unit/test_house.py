"""The house's rules: imports point one way, and every process loads only what it needs."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: From the left to the right; each may import what stands before it.
HOUSE = ("schemas", "config", "workers", "orchestrator")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def lines_of(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines())


def test_a_module_is_neither_a_book_nor_a_note() -> None:
    files = [file for package in HOUSE for file in modules(package) if file.name != "__init__.py"]
    assert [file.relative_to(ROOT).as_posix() for file in files if lines_of(file) > 400] == []
    assert len([file for file in files if lines_of(file) <= 30]) <= 60


@pytest.mark.parametrize(("package", "doors"), [("orchestrator", 6), ("workers", 5), ("config", 3)])
def test_at_the_root_lie_doors_alone(package: str, doors: int) -> None:
    assert len(list((ROOT / package).glob("*.py"))) <= doors


def test_the_repository_has_the_doors_that_it_says() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.splitlines()}
    files = {"Dockerfile", "LICENSE", "Makefile", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "mkdocs.yml"}
    fixed = {"docker-compose.yml", "pyproject.toml", "README.md", "tests", "docs", "examples", "bench", "src"}
    assert {name for name in top if not name.startswith(".")} <= {*HOUSE, *fixed, *files}


def test_nothing_is_imported_but_as_firstline() -> None:
    files = [file for folder in (*HOUSE, "tests", "bench", "examples") for file in (ROOT / folder).rglob("*.py")]
    trees = {file: ast.walk(ast.parse(file.read_text("utf-8"))) for file in files}
    told = [(file, node.module) for file, nodes in trees.items() for node in nodes if isinstance(node, ast.ImportFrom)]
    assert [
        file for file, name in told if name and name.split(".")[0] in HOUSE and "user_project" not in str(file)
    ] == []


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("firstline.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.removeprefix("firstline.")


def test_nothing_of_the_web_frameworks_is_used_that_they_keep_to_themselves() -> None:
    files = modules("orchestrator")
    names = {
        (file.name, name) for file in files for name in imported(file) if name.startswith(("fastapi.", "starlette."))
    }
    assert len(names) > 20
    assert {one for one in names if any(part.startswith("_") for part in one[1].split("."))} == set()


@pytest.mark.parametrize("package", HOUSE)
def test_imports_point_to_the_left(package: str) -> None:
    forbidden = {*HOUSE[HOUSE.index(package) + 1 :], "tests", "bench"}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in modules(package)
        for name in imported(file)
        if name.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_one_file_imports_litellm() -> None:
    files = {file.relative_to(ROOT).as_posix() for package in HOUSE for file in modules(package)}
    loading = {name for name in files if any(one.split(".")[0] == "litellm" for one in imported(ROOT / name))}
    assert loading == {"workers/providers/litellm_gateway.py"}


def test_only_the_store_opens_database_sessions() -> None:
    opening = {"create_engine", "Session", "sessionmaker"}
    found = {
        file.relative_to(ROOT).parts[:2]
        for file in modules("orchestrator")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Name) and node.id in opening
    }
    assert found == {("orchestrator", "store")}


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return {name.removeprefix("firstline.").split(".")[0] for name in said.stdout.split()}


def test_a_producer_loads_neither_litellm_nor_a_web_framework() -> None:
    assert (
        loaded_by("firstline.orchestrator.api") & {"litellm", "openai", "starlette", "fastapi", "uvicorn", "flower"}
        == set()
    )


def test_frameworks_are_loaded_only_where_they_are_used() -> None:
    frameworks = {"mcp", "langchain_core", "crewai"}
    for module in ("api", "service.process", "web.app", "integrations.remote"):
        assert loaded_by(f"firstline.orchestrator.{module}") & frameworks == set(), module


def test_a_worker_process_loads_nothing_of_the_orchestrator_and_no_database() -> None:
    assert loaded_by("firstline.workers.process") & {"orchestrator", "sqlalchemy", "sqlmodel", "alembic"} == set()
