"""Which fields an answer has, and how each is compared for want of another word."""

import pytest

from firstline.config.catalogue.answer_fields import answer_fields, comparators_of, uncompared
from firstline.config.catalogue.check import check_path
from firstline.config.catalogue.skill_flaws import skill_flaws
from firstline.schemas.comparator import Comparator
from firstline.schemas.skill import Skill

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["a", "b"]},
        "urgent": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "amount": {"type": ["number", "null"]},
        "count": {"type": "integer"},
        "due": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        "names": {"type": "array", "items": {"type": "string"}},
        "reply": {"$ref": "#/$defs/Reply"},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"said": {"type": "string"}}}},
    },
    "$defs": {"Reply": {"type": "object", "properties": {"text": {"type": "string"}, "tone": {"const": "calm"}}}},
}
KINDS = {
    "label": "closed",
    "urgent": "closed",
    "amount": "number",
    "count": "integer",
    "due": "code",
    "tags": "labels",
    "names": "scalars",
    "reply.text": "free",
    "reply.tone": "closed",
    "parts": "free",
}


def skill(output=SCHEMA, **changes) -> Skill:
    return Skill.model_validate({"name": "s", "instructions": "-", "input": {"text": {}}, "output": output, **changes})


def test_fields_are_told_apart_by_what_they_may_hold():
    assert {field.path: field.kind.value for field in answer_fields(SCHEMA)} == KINDS


def test_closed_fields_numbers_and_sets_have_a_comparator_by_their_schema_and_prose_has_none():
    found = comparators_of(skill())
    assert {path: by and (by.by, by.at_least) for path, by in found.items()} == {
        "label": ("exact", 1),
        "urgent": ("exact", 1),
        "amount": ("number", 1),
        "count": ("number", 1),
        "due": ("exact", 1),
        "tags": ("set_f1", 1),
        "names": ("set_f1", 0.8),
        "reply.text": None,
        "reply.tone": ("exact", 1),
        "parts": None,
    }
    assert uncompared(skill()) == ["reply.text", "parts"]
    assert uncompared(skill({"type": "string"})) == ["the answer"]


@pytest.mark.parametrize(
    ("compare", "silent"),
    [
        pytest.param("judge", [], id="one word is for all that the schema leaves open"),
        pytest.param({"parts": "judge"}, ["reply.text"], id="a field by its name"),
        pytest.param({"reply": "judge", "parts": "nobody"}, ["parts"], id="an object as one"),
        pytest.param({"*": "judge", "label": "nobody"}, ["label"], id="a closed field may be left out"),
        pytest.param({"": {"by": "module:function", "at_least": 0.5}}, [], id="the whole answer"),
    ],
)
def test_what_the_skill_declares_comes_first(compare, silent):
    assert uncompared(skill(compare=compare)) == silent


def test_the_digest_is_as_it_was_where_nothing_is_declared_and_another_where_something_is():
    plain = skill()
    assert plain.digest == Skill.model_validate(plain.model_dump(mode="json")).digest
    assert plain.digest == "0d5619b7e30c7190"
    assert plain.digest != skill(compare="judge").digest
    assert skill(compare="judge").digest != skill(compare="judge", judge={"rubric": "Facts."}).digest


@pytest.mark.parametrize(
    ("compare", "words"),
    [
        pytest.param({"replly": "judge"}, "no field 'replly'", id="no such field"),
        pytest.param({"label": "same"}, "got 'same'", id="no such comparator"),
    ],
)
def test_what_cannot_be_compared_is_a_flaw_of_the_skill(compare, words):
    assert [flaw for flaw in skill_flaws(skill(compare=compare), tools=lambda name: None) if words in flaw.text]


def test_a_comparator_may_be_written_as_its_name():
    assert skill(compare={"label": "judge"}).compare == {"label": Comparator(by="judge")}


def test_check_names_what_nobody_compares_and_is_silent_where_all_is(tmp_path):
    file = tmp_path / "skills" / "s.yaml"
    file.parent.mkdir()
    text = (
        "name: s\ninstructions: '-'\ninput: {text: {}}\noutput: {type: object, properties: {reply: {type: string}}}\n"
    )
    file.write_text(text)
    assert [note for note in check_path(file).notes if "nobody compares reply" in note]
    file.write_text(f"{text}compare: judge\n")
    assert check_path(file).notes == ()
    file.write_text(f"{text}compare: {{reply: absent:function}}\n")
    assert ["absent" in str(one) for one in check_path(file).problems] == [True]
