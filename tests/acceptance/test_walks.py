"""docs/walks/terminal.md, typed command by command on a tenth of its table."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.tutorial_page import Command, Reader, script, steady
from tests.servers import free_port

WALKS = Path(__file__).parents[2] / "docs" / "walks"
#: Rows of the table that are kept: row 137 is among them.
ROWS = 150
_YAML = re.compile(r"^```yaml\n(workflow: sort_mail\n.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

PAGE = (WALKS / "terminal.md").read_text("utf-8")
COMMANDS = [step for step in script(PAGE) if isinstance(step, Command)]


@dataclass(frozen=True)
class Said:
    """What a command of the page printed, and the code that it ended with."""

    command: Command
    printed: str
    code: int


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Said]]:
    folder = tmp_path_factory.mktemp("mails")
    subprocess.run([sys.executable, WALKS / "mails.py"], cwd=folder, check=True)
    table = folder / "mails.csv"
    table.write_text("".join(table.read_text("utf-8").splitlines(keepends=True)[: ROWS + 1]), "utf-8")
    port = str(free_port())
    ladder = folder / "mine.yaml"
    ladder.write_text(ladder.read_text("utf-8").replace(":9000/", f":{port}/"), "utf-8")
    (job,) = _YAML.findall(PAGE)
    (folder / "job.yaml").write_text(job, "utf-8")
    endpoint = subprocess.Popen(
        [sys.executable, "-m", "firstline.workers.simulator", "script.yaml", "--port", port], cwd=folder
    )
    try:
        reader = Reader(folder)
        yield [Said(command, *reader.type_any(command)) for command in COMMANDS]
    finally:
        endpoint.terminate()
        endpoint.wait(timeout=20)


def one(walked: list[Said], start: str) -> Said:
    (said,) = (said for said in walked if said.command.line.startswith(start))
    return said


def test_every_command_does_what_the_page_says_and_one_is_refused(walked: list[Said]) -> None:
    refused = "firstline run sort_mail --input mails.csv"
    assert {said.command.line: said.code for said in walked if said.code and refused not in said.command.line} == {}
    said = one(walked, refused)
    assert said.code == 2
    assert steady(said.printed) == steady(said.command.printed)


@pytest.mark.parametrize("start", ["head", "firstline new"])
def test_what_does_not_hang_on_the_tables_length_is_printed_word_for_word(walked: list[Said], start: str) -> None:
    said = one(walked, start)
    assert steady(said.printed) == steady(said.command.printed)


def test_the_estimate_speaks_of_the_table(walked: list[Said]) -> None:
    assert f"{ROWS} items" in one(walked, "firstline estimate").printed


def test_row_137_is_expensive_and_wrong_for_the_reasons_that_the_page_gives(walked: list[Said]) -> None:
    assert "m137,delivery,3," in one(walked, "firstline results").printed
    story = " ".join(one(walked, "firstline item").printed.split())
    for told in (
        "attempt 0: openai/small (answer, cheap)",
        "'give me my money back': does not stand in `text`",
        "verdict: escalate: failed grounded(quote)",
        "attempt 2: openai/large (answer, frontier)",
        "wrong: the truth is refund",
        "3 calls, $0.0017",
    ):
        assert told in story


def test_the_other_walk_goes_the_same_way_and_shows_pictures_that_are_there() -> None:
    pages = (WALKS / "pages.md").read_text("utf-8")
    pictures = re.findall(r"\]\((\.\./images/[^)]+)\)", pages)
    assert len(pictures) > 3
    assert [name for name in pictures if not (WALKS / name).is_file()] == []
