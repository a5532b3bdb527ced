"""The plain functions of the example support_triage: what is looked up, and how an answer is weighed against it."""

import csv
from pathlib import Path

import pytest
import yaml

from firstline.config.catalogue.functions import load
from firstline.config.catalogue.jobfile import load_job

EXAMPLE = Path(__file__).parents[3] / "examples" / "support_triage"
FOLDERS = (EXAMPLE / "functions",)
shortlist = load("shortlist:shortlist", folders=FOLDERS)
is_complex = load("shortlist:is_complex", folders=FOLDERS)
ready = load("replies:ready", folders=FOLDERS)
final = load("replies:final", folders=FOLDERS)
is_candidate = load("triage_checks:is_candidate", folders=FOLDERS)
agrees = load("triage_checks:agrees_with_likeness", folders=FOLDERS)
SHOWN = {"cases": "My card -> gone -> lost_or_stolen_card\nWhere is it? -> card_arrival\nWhere is my card? -> ?"}


def rows(name):
    with (EXAMPLE / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_no_question_to_be_triaged_is_among_the_examples():
    texts = {row["text"] for row in rows("examples")}
    assert not texts & {row["text"] for row in rows("held_out")}
    assert {row["id"] for row in rows("tickets")} <= {row["id"] for row in rows("held_out")}
    assert (len(rows("banking77")), len(rows("tickets"))) == (1001, 60)


def test_the_right_intent_is_among_the_five_likest_six_times_in_seven():
    asked = rows("held_out")[::3]
    found = sum(row["intent"] in shortlist(row["text"])["intents"] for row in asked)
    assert found / len(asked) > 6 / 7 - 0.05


def test_a_known_question_is_never_its_own_example():
    known = rows("examples")[0]["text"]
    assert shortlist(known)["cases"].count(known) == 1


@pytest.mark.parametrize("text", ["", "?", "🙂", "x" * 5000, "two\nlines -> here"])
def test_any_text_has_five_candidates(text):
    found = shortlist(text)
    assert len(set(found["intents"])) == 5
    assert len(found["cases"].splitlines()) == 8
    assert found["cases"].endswith("-> ?")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Where is my card?", False, id="one short sentence"),
        pytest.param("Where is my card? I moved.", True, id="two sentences"),
        pytest.param("word " * 21, True, id="a long one"),
        pytest.param("It cost 1.50 at the shop", False, id="a point within a figure"),
    ],
)
def test_long_and_manifold_messages_are_complex(text, expected):
    assert is_complex(text) is expected


def test_every_intent_has_a_reply_and_the_skill_knows_every_intent():
    intents = {row["intent"] for row in rows("banking77")}
    skill = yaml.safe_load((EXAMPLE / "skills" / "sort_question.yaml").read_text(encoding="utf-8"))
    assert set(skill["output"]["properties"]["intent"]["enum"]) == intents
    assert len({ready(intent, "?")["reply"] for intent in intents}) == 77


@pytest.mark.parametrize(
    ("about", "named"),
    [
        pytest.param("my new card?", "my new card?", id="words of the question"),
        pytest.param("My  NEW card", "My  NEW card", id="but for case and space"),
        pytest.param("the last answer", None, id="words that it does not hold"),
        pytest.param("?!", None, id="no words"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_a_reply_names_what_the_question_is_about_if_the_question_says_so(about, named):
    found = ready("card_arrival", "Where is my new card?", about)
    assert found["about"] == named
    assert found["reply"].startswith("Hello, thank you for your question about" if named else "Hello. Cards usually")


@pytest.mark.parametrize(
    ("written", "by"),
    [
        pytest.param("I see that your card is late.", "frontier", id="a reply"),
        pytest.param("I'm sorry, but I can't assist with that.", "template", id="a refusal"),
        pytest.param(" ", "template", id="nothing"),
        pytest.param(None, "template", id="a step that was skipped"),
    ],
)
def test_the_written_reply_goes_out_unless_it_is_none(written, by):
    assert final("ready", written) == {"reply": written if by == "frontier" else "ready", "by": by}


@pytest.mark.parametrize(
    ("check", "intent", "passes"),
    [
        pytest.param(is_candidate, "lost_or_stolen_card", True, id="a candidate"),
        pytest.param(is_candidate, "age_limit", False, id="no candidate"),
        pytest.param(agrees, "card_arrival", True, id="the likest"),
        pytest.param(agrees, "lost_or_stolen_card", False, id="another than the likest"),
    ],
)
def test_an_intent_is_weighed_against_the_candidates(check, intent, passes):
    said = check({"intent": intent}, SHOWN)
    assert (said is True) is passes
    assert passes or isinstance(said, str)


@pytest.mark.parametrize("profile", [None, "recorded"])
def test_the_job_file_is_in_order_on_either_profile(profile):
    job = load_job(EXAMPLE / "job.yaml", profile=profile)
    models = {model.name for model in job.profile.models}
    assert models == {"openai/qwen-0.5b", "openai/qwen-1.5b"}
