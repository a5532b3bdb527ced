"""docs/howto/, typed page by page into an empty folder: files are written, commands do and print what stands there."""

import json
from pathlib import Path

import pytest

from tests.acceptance.tutorial_page import Command, Reader, script, steady

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = sorted(file.name for file in HOWTO.glob("*.md"))

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def typed(page: str, folder: Path) -> None:
    """Do all that a page says; what it shows of an output has to come."""
    reader = Reader(folder)
    for step in script((HOWTO / page).read_text("utf-8")):
        if not isinstance(step, Command):
            reader.write(step)
            continue
        printed = reader.type(step)
        if step.printed.strip():
            assert steady(printed) == steady(step.printed), step.line


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_works(page: str, tmp_path: Path) -> None:
    typed(page, tmp_path)
    if page == "steps.md":
        *answers, whole = map(json.loads, (tmp_path / "answers.jsonl").read_text("utf-8").splitlines())
        assert [answer["status"] for answer in (*answers, whole)] == ["settled"] * 6
        assert all(answer["output"].keys() == {"words", "topic", "reply"} for answer in answers)
        assert (whole["item_id"], whole["tier"]) == ("(job)", "frontier")
