"""The threat model names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")


def test_every_test_that_holds_a_promise_is_there():
    named = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 40
    missing = [f"{file}::{test}" for file, test in named if not is_there(file, test)]
    assert missing == []


def is_there(name: str, test: str) -> bool:
    files = [ROOT / name] if "/" in name else list((ROOT / "tests").rglob(name))
    return any(file.is_file() and (not test or f"\ndef {test}(" in file.read_text("utf-8")) for file in files)


def test_each_of_the_twelve_kinds_of_faults_has_a_test():
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| `tests/[^|]+::\w+` \|$", PAGE, re.MULTILINE)
    assert rows == [str(n) for n in range(1, 13)]
