"""`firstline calibrate --scores` and its neighbours: exact JSON, and a sentence for whatever will not do."""

import json
import math
import random
from pathlib import Path

import pytest

from firstline.config.settings import get_settings
from firstline.orchestrator import cli

HEADER = "id,confidence,cheap_correct,frontier_correct\n"


@pytest.fixture
def firstline(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIRSTLINE_REDIS_URL", raising=False)
    monkeypatch.delenv("FIRSTLINE_DATABASE_URL", raising=False)
    get_settings.cache_clear()

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    yield run
    get_settings.cache_clear()


def scores(rows: int = 400) -> str:
    rng = random.Random(1)
    lines = []
    for n in range(rows):
        right = rng.random() < 0.8
        confidence = math.log(rng.betavariate(8, 2) if right else rng.betavariate(3, 3))
        lines.append(f"{n},{confidence},{int(right)},1")
    return HEADER + "\n".join(lines) + "\n"


def test_scores_with_json_print_exactly_the_answer_and_the_sentence_goes_to_stderr(firstline):
    Path("f.csv").write_text(scores())
    code, out, err = firstline("calibrate", "--scores", "f.csv", "--max-loss", "0.05", "--delta", "0.1", "--json")
    assert code == 0
    found = json.loads(out)
    assert list(found) == [
        "method",
        "threshold",
        "labels_used",
        "expected_frontier_share",
        "certified_max_loss",
        "delta",
    ]
    assert (found["certified_max_loss"], found["delta"], found["labels_used"]) == (0.05, 0.1, 400)
    assert "with 90% confidence at most 5.0% of all items" in err


def test_no_more_labels_are_used_than_allowed_and_a_seed_repeats_the_draw(firstline):
    Path("f.csv").write_text(scores())
    runs = [firstline("calibrate", "--scores", "f.csv", "--labels", "100", "--seed", "3", "--json")[1] for _ in "ab"]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])["labels_used"] <= 100


def test_where_nothing_can_be_certified_the_threshold_is_null_and_it_says_that_everything_escalates(firstline):
    Path("f.csv").write_text(HEADER + "".join(f"{n},{n},0,1\n" for n in range(50)))
    code, out, err = firstline("calibrate", "--scores", "f.csv", "--json")
    assert (code, json.loads(out)["threshold"], json.loads(out)["expected_frontier_share"]) == (0, None, 1.0)
    assert "everything escalates" in err


@pytest.mark.parametrize(
    ("arguments", "text", "sentence"),
    [
        pytest.param([], "", "expected columns id,confidence,cheap_correct", id="empty file"),
        pytest.param([], HEADER + "1,nan,1,1\n2,1,1,1\n", "expected a number as confidence", id="nan"),
        pytest.param([], HEADER + "1,0.5,1,1\n2,0.5,0,1\n", "constant signal", id="constant confidence"),
        pytest.param([], HEADER + "1,0.5,1,1\n1,0.6,0,1\n", "contradictory labels", id="contradictory labels"),
        pytest.param([], HEADER + "1,0.5,1,1\n", "at least 2 labelled items", id="too few"),
        pytest.param(["--labels", "9"], HEADER + "1,0.5,1,1\n2,0.6,0,1\n", "--labels between 1 and", id="labels"),
        pytest.param(["--max-loss", "5"], HEADER + "1,0.5,1,1\n2,0.6,0,1\n", "0.05 means 5%", id="percent"),
    ],
)
def test_scores_that_cannot_be_trusted_are_a_sentence(firstline, arguments, text, sentence):
    Path("f.csv").write_text(text)
    code, out, err = firstline("calibrate", "--scores", "f.csv", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["calibrate"], "expected a workflow or --scores", id="nothing to calibrate"),
        pytest.param(["calibrate", "--scores", "gone.csv"], "cannot be read", id="no file"),
        pytest.param(["calibrate", "nope", "-i", "x"], "no workflow or skill is called 'nope'", id="no such workflow"),
        pytest.param(["compare", "nope", "-i", "x"], "no workflow or skill is called 'nope'", id="nothing to compare"),
        pytest.param(["failures", "--job", "nope"], "there is no job 'nope'", id="failures of no job"),
        pytest.param(["review", "show", "nope", "i"], "there is no job 'nope'", id="review of no job"),
        pytest.param(["audits", "run", "nope"], "there is no job 'nope'", id="audit of no job"),
        pytest.param(["prompts", "list", "nope"], "no skill is called 'nope'", id="versions of no skill"),
        pytest.param(["prompts", "rollback", "summarize"], "no version before", id="nothing to go back to"),
    ],
)
def test_what_a_person_can_mend_is_a_sentence_and_exit_code_2(firstline, arguments, sentence):
    code, out, err = firstline(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err


@pytest.mark.parametrize(
    ("arguments", "as_text", "as_json"),
    [
        pytest.param(["calibrations"], "no calibrations yet", [], id="calibrations"),
        pytest.param(["audits"], "no audits yet", [], id="audits"),
        pytest.param(["failures"], "no answer was rejected", [], id="failures"),
        pytest.param(["failures", "--cluster"], "no answer was rejected", [], id="causes"),
        pytest.param(["review", "list"], "nothing waits for a person", [], id="review"),
        pytest.param(["review", "next"], "nothing waits for a person", None, id="next review"),
    ],
)
def test_where_there_is_nothing_yet_the_lists_say_so(firstline, arguments, as_text, as_json):
    code, out, _ = firstline(*arguments)
    assert (code, as_text in out) == (0, True)
    assert json.loads(firstline(*arguments, "--json")[1]) == as_json
