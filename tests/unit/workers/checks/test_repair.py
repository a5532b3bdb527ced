"""What a plain function puts right in an answer before it is checked."""

from pathlib import Path

import pytest

from firstline.schemas.skill import InputField, Skill
from firstline.workers.checks.repair import repair

FUNCTIONS = """
import time

def once(answer, item):
    return {"tags": sorted(set(answer["tags"]) & set(item["allowed"]))}

def spoils(answer, item):
    answer["tags"].append("spoilt")
    return answer

def raises(answer, item):
    raise KeyError("tags")

def unwritable(answer, item):
    return {"tags": object()}

def nul(answer, item):
    return {"tags": ["a\\x00"]}
"""
OUTPUT = {"type": "object", "properties": {"tags": {"type": "array"}}, "required": ["tags"]}
ANSWER = {"tags": ["b", "a", "b", "z"]}
ITEM = {"allowed": ["a", "b"]}


@pytest.fixture
def repaired(tmp_path: Path):
    (tmp_path / "mine.py").write_text(FUNCTIONS)

    def of(name: str | None, answer: object = ANSWER):
        skill = Skill(name="tag", instructions="Tag it.", input={"allowed": InputField()}, output=OUTPUT, repair=name)
        return repair(skill, answer, item=ITEM, folders=(tmp_path,))

    return of


def test_the_function_sees_the_item_and_its_answer_counts(repaired):
    assert repaired("mine:once") == ({"tags": ["a", "b"]}, ())


def test_without_one_and_with_another_form_nothing_is_touched(repaired):
    assert repaired(None) == (ANSWER, ())
    assert repaired("mine:raises", {"no": "tags"}) == ({"no": "tags"}, ())


def test_what_the_model_said_stays_as_it_is(repaired):
    value, _ = repaired("mine:spoils")
    assert value["tags"][-1] == "spoilt"
    assert ANSWER["tags"] == ["b", "a", "b", "z"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mine:raises", "mine:raises raised KeyError"),
        ("mine:unwritable", "mine:unwritable: expected an answer that JSON can hold"),
        ("mine:absent", "mine:absent: mine has no 'absent'"),
    ],
)
def test_one_that_breaks_fails_the_answer_with_the_reason(repaired, name, why):
    value, (failed,) = repaired(name)
    assert value == ANSWER
    assert failed.check == "repair"
    assert failed.reason is not None
    assert failed.reason.startswith(why)


def test_what_no_database_takes_is_replaced(repaired):
    assert repaired("mine:nul") == ({"tags": ["a\ufffd"]}, ())


def test_a_skill_without_one_has_the_digest_that_it_had():
    plain = Skill(name="tag", instructions="Tag it.", input={"text": InputField()}, output={"type": "string"})
    assert plain.evolve(repair=None).digest == plain.digest
    assert plain.evolve(repair="mine:once").digest != plain.digest
