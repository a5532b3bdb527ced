"""docs/troubleshooting.md quotes what the code says: a sentence that is worded anew is worded anew there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOUSE = ("schemas", "config", "workers", "orchestrator")
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
SENTENCES = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)


def templates() -> Iterator[str]:
    """Every text of the code, with a hole where a value is put in."""
    for package in HOUSE:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
                elif isinstance(node, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


@pytest.fixture(scope="module")
def said() -> str:
    return "\n".join(templates())


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_the_page_quotes_the_code_says(said: str, sentence: str) -> None:
    # Some are put together from two texts; each part is long enough to be looked for.
    parts = [part.strip() for part in re.split(r"…|; (?=`)", sentence)]
    parts = [part for part in parts if len(part) > 3]
    assert parts
    assert [part for part in parts if part not in said] == []


def test_no_sentence_stands_there_twice() -> None:
    assert len(SENTENCES) > 15
    assert len(set(SENTENCES)) == len(SENTENCES)
