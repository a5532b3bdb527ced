"""docs/tutorial.md, typed command by command into an empty folder: it prints what the page says that it prints."""

import pytest

from tests.acceptance.tutorial_page import PAGE, Command, Reader, estimates, script, steady

#: The whole page is read before the first test.
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

STEPS = [step for step in script(PAGE.read_text(encoding="utf-8")) if isinstance(step, Command)]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each command of the page printed, in a folder that was empty."""
    folder = tmp_path_factory.mktemp("requests")
    reader, said = Reader(folder), []
    for step in script(PAGE.read_text(encoding="utf-8")):
        if isinstance(step, Command):
            said.append(reader.type(step))
        else:
            reader.write(step)
    return said


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step.line.split(" --")[0] for step in STEPS])
def test_each_command_prints_what_the_page_shows(printed: list[str], number: int):
    assert steady(printed[number]) == steady(STEPS[number].printed)
    assert estimates(printed[number]) == pytest.approx(estimates(STEPS[number].printed), rel=0.05)


def test_the_page_goes_from_a_new_skill_to_a_calibrated_workflow():
    typed = [step.line.split()[1] for step in STEPS if step.line.startswith("firstline")]
    told = ["new", "check", "try", "new", "check", "run", "audits", "compare", "calibrate", "calibrations", "run"]
    assert typed[: len(told)] == told
    assert {"failures", "report"} <= set(typed)


def test_calibrating_makes_the_workflow_better(printed: list[str]):
    first, second = (text for step, text in zip(STEPS, printed, strict=True) if " run desk" in step.line)
    assert _quality(first) < _quality(second)


def _quality(report: str) -> float:
    (line,) = (line for line in report.splitlines() if line.startswith("Firstline "))
    return float(line.split()[1].removesuffix("%"))
