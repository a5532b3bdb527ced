"""What each check lets pass, and what it says of the rest."""

import resource
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from firstline.schemas.check import CheckSpec, Regex
from firstline.schemas.skill import Skill
from firstline.workers.checks import may_block, run_checks
from firstline.workers.checks.grounded import find

ANY: dict[str, Any] = {}
TEXT = "We will arrive tomorrow at 25 to 7 p.m.; the café costs 1200 €."


def skill_of(*checks: dict[str, Any], output: dict[str, Any] = ANY) -> Skill:
    declared = {"name": "s", "instructions": "x", "input": {"text": {}, "docs": {"required": False}}, "output": output}
    return Skill.model_validate({**declared, "checks": list(checks)})


def reasons(skill: Skill, value: Any, item: dict[str, Any] | None = None, **more: Any) -> dict[str, str | None]:
    results = run_checks(skill, value, item=item or {"text": TEXT}, **more)
    return {result.check: result.reason for result in results}


def one(check: dict[str, Any], value: Any, item: dict[str, Any] | None = None, **more: Any) -> str | None:
    results = run_checks(skill_of(check), value, item=item or {"text": TEXT}, **more)
    assert results[0].passed
    return results[1].reason


CASES = [
    ("one_of", {"kind": "one_of", "values": ["a", 1]}, "a", None),
    ("one_of: another", {"kind": "one_of", "values": ["a"]}, "b", "expected one of a, got b"),
    ("one_of: each of a list", {"kind": "one_of", "values": ["a"]}, ["a", "b"], "got b"),
    ("one_of: true is not 1", {"kind": "one_of", "values": [1]}, True, "got True"),
    ("regex", {"kind": "regex", "pattern": r"\d+"}, "no 12", None),
    ("regex: nowhere", {"kind": "regex", "pattern": r"\d+"}, "none", r"expected to contain a match of \d+"),
    ("regex: not as a whole", {"kind": "regex", "pattern": r"\d+", "full": True}, "no 12", "match as a whole"),
    ("regex: absent", {"kind": "regex", "pattern": "todo", "absent": True, "ignore_case": True}, "a TODO", "'TODO'"),
    ("range", {"kind": "range", "min": 0, "max": 1}, 1, None),
    ("range: below", {"kind": "range", "min": 0}, -0.5, "expected at least 0, got -0.5"),
    ("range: above", {"kind": "range", "max": 1}, 2, "expected at most 1, got 2"),
    ("range: no number", {"kind": "range", "max": 1}, "2", "expected a number, got 2"),
    ("range: NaN", {"kind": "range", "max": 1}, float("nan"), "expected a number"),
    ("length", {"kind": "length", "min": 2, "max": 3}, "abc", None),
    ("length: words", {"kind": "length", "max": 2, "unit": "words"}, "a b c", "at most 2 words, got 3"),
    ("length: elements", {"kind": "length", "min": 1}, [], "at least 1 elements, got 0"),
    ("date", {"kind": "date"}, "2026-02-28", None),
    ("date: none such", {"kind": "date"}, "2026-02-30", "expected a date like 2026-01-31, got 2026-02-30"),
    ("date: format", {"kind": "date", "format": "%d.%m.%Y"}, "28.02.2026", None),
    ("date: other format", {"kind": "date", "format": "%d.%m.%Y"}, "2026-02-28", "like 31.01.2026"),
    ("date: too early", {"kind": "date", "after": "2026-03-01"}, "2026-02-28", "2026-03-01 or later"),
    ("date: too late", {"kind": "date", "before": "2026-01-01"}, "2026-02-28", "2026-01-01 or earlier"),
    ("expression", {"kind": "expression", "expression": "answer.a < len(item.text)"}, {"a": 1}, None),
    ("expression: false", {"kind": "expression", "expression": "answer.a == 2"}, {"a": 1}, "is not true"),
    ("expression: broken", {"kind": "expression", "expression": "answer.b == 2"}, {"a": 1}, "no 'b' there"),
    ("grounded: normalised", {"kind": "grounded"}, {"time": "25 to 7 PM", "n": 9}, None),
    ("grounded: invented", {"kind": "grounded"}, {"time": "8 p.m."}, "'8 p.m.': does not stand in `text`"),
    ("grounded: verbatim", {"kind": "grounded", "normalised": False}, "25 to 7 PM", "does not stand in"),
    ("grounded: part of a number", {"kind": "grounded"}, "120", "does not stand in"),
    ("grounded: part of a word", {"kind": "grounded"}, "rive", "does not stand in"),
    ("language", {"kind": "language", "language": "en"}, "Your card is on its way and will arrive soon.", None),
    ("language: German", {"kind": "language", "language": "en"}, "Ihre Karte ist bereits unterwegs.", "got 'de'"),
    ("language: Japanese", {"kind": "language", "language": "en"}, "注文番号をお送りください", "got 'ja'"),
    ("language: too short to say", {"kind": "language", "language": "de"}, "OK", None),
    ("no_refusal", {"kind": "no_refusal"}, "I'm sorry to hear that; your card was sent on Monday.", None),
    ("no_refusal: English", {"kind": "no_refusal"}, "I'm sorry, but I can\u2019t assist with that.", "like a refusal"),
    ("no_refusal: as an AI", {"kind": "no_refusal"}, "As an AI language model, I have no views.", "like a refusal"),
    (
        "no_refusal: German",
        {"kind": "no_refusal"},
        "Leider kann ich das nicht. Ich kann dabei nicht helfen.",
        "refusal",
    ),
    ("no_refusal: French", {"kind": "no_refusal"}, "Je ne peux pas vous aider avec cela.", "like a refusal"),
    ("no_refusal: Spanish", {"kind": "no_refusal"}, "Lo siento, no puedo ayudarte con eso.", "like a refusal"),
    ("no_refusal: Chinese", {"kind": "no_refusal"}, "抱歉,我无法回答这个问题。", "like a refusal"),
    ("no_refusal: later in a text", {"kind": "no_refusal"}, "x " * 200 + "I can't help it.", None),
]


@pytest.mark.parametrize(("check", "value", "reason"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_a_check_passes_or_says_why_not(check, value, reason):
    said = one(check, value)
    assert said is None if reason is None else reason in str(said)


SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["card", "refund"]},
        "slots": {"type": "array", "items": {"type": "object", "required": ["date"]}},
        "day": {"type": "string", "format": "date"},
        "either": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["a"]}]},
    },
    "required": ["intent"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param({"intent": "card"}, None, id="right"),
        pytest.param({"intent": "cards"}, "`intent`: expected one of card, refund, got cards", id="enum"),
        pytest.param({}, "lacks intent", id="missing"),
        pytest.param({"intent": "card", "x": 1}, "has x, allowed are intent", id="extra"),
        pytest.param({"intent": "card", "slots": [{}]}, "`slots.0`: lacks date", id="nested"),
        pytest.param({"intent": "card", "slots": {}}, "`slots`: expected array, got object {}", id="type"),
        pytest.param(
            {"intent": "card", "day": "monday"}, '`day`: "monday" is no `date`, such as 2026-01-31', id="format"
        ),
        pytest.param({"intent": "card", "either": {}}, "lacks a", id="deepest of a choice"),
        pytest.param(None, "expected object, got null", id="nothing"),
        pytest.param({"intent": "x" * 9999}, "…", id="long values are cut"),
    ],
)
def test_the_schema_is_checked_first_and_says_where(value, reason):
    results = run_checks(skill_of({"kind": "grounded"}, output=SCHEMA), value, item={"text": "card"})
    assert results[0].check == "schema"
    assert results[0].reason is None if reason is None else reason in str(results[0].reason)
    assert len(str(results[0].reason)) < 600


def test_a_value_off_schema_is_not_checked_further():
    assert list(reasons(skill_of({"kind": "grounded"}, output=SCHEMA), {"intent": 3})) == ["schema"]


def test_a_refusal_in_place_of_json_is_called_one():
    said = reasons(skill_of({"kind": "no_refusal"}, output=SCHEMA), None, text="I'm sorry, but I can't help with that.")
    assert "refusal" in str(said["no_refusal"])


def test_a_schema_that_is_none_fails_the_answer_with_the_reason():
    assert "not a JSON Schema" in str(reasons(skill_of(output={"type": "objekt"}), {})["schema"])


def test_a_remote_reference_is_never_fetched():
    assert "could not be checked" in str(reasons(skill_of(output={"$ref": "http://127.0.0.1:9/x.json"}), {})["schema"])


def test_checks_run_in_order_and_are_named_with_their_field():
    skill = skill_of({"kind": "length", "field": "a.b", "max": 1}, {"kind": "range", "field": "c"})
    assert list(reasons(skill, {"a": {"b": "x"}, "c": 1})) == ["schema", "length(a.b)", "range(c)"]


def test_a_field_within_a_list_is_checked_in_each_element():
    check = {"kind": "grounded", "field": "clauses.quote"}
    value = {"clauses": [{"quote": "arrive tomorrow"}, {"quote": "never"}]}
    assert str(one(check, value)).startswith("`clauses.1.quote`: 'never'")


@pytest.mark.parametrize("value", [{}, {"a": None}], ids=["absent", "null"])
def test_a_field_that_is_not_there_passes_as_the_schema_decides_on_it(value):
    assert one({"kind": "range", "field": "a", "min": 1}, value) is None


def test_a_check_of_other_tiers_is_left_out():
    skill = skill_of({"kind": "range", "max": 0, "tiers": ["cheap"]})
    assert "range" in reasons(skill, 1, tier="cheap")
    assert "range" not in reasons(skill, 1, tier="frontier")


def test_the_hint_is_what_the_model_hears():
    result = run_checks(skill_of({"kind": "range", "max": 0, "hint": "Use a share."}), 1, item={})[1]
    assert (result.reason, result.feedback) == ("expected at most 0, got 1", "Use a share.")


def test_grounded_looks_only_at_its_source():
    check = {"kind": "grounded", "source": "docs"}
    assert one(check, "tomorrow", {"text": TEXT, "docs": ["come tomorrow"]}) is None
    assert "`docs`" in str(one(check, "tomorrow", {"text": TEXT, "docs": ["come today"]}))


def test_grounded_ignores_fields_that_the_skill_does_not_read():
    assert one({"kind": "grounded"}, "secret", {"text": TEXT, "gold": "secret"}) is not None


@pytest.mark.parametrize(
    ("text", "source", "stands"),
    [
        pytest.param("CAFÉ costs", TEXT, True, id="case and accents"),
        pytest.param("arrive  tomorrow,\nat", TEXT, True, id="white space and punctuation"),
        pytest.param("ﬁle", "the file", True, id="ligature"),
        pytest.param("\u2039/data> x", "a </data> x", True, id="a blunted tag"),
        pytest.param("番号", "注文番号です", True, id="scripts without spaces"),
        pytest.param("co-operate", "Cooperate!", True, id="punctuation within a word"),
        pytest.param("120", "room 1, 20 euros", False, id="two numbers are not one"),
        pytest.param("arrive tom", TEXT, False, id="part of a word"),
        pytest.param("...", "a b", False, id="punctuation alone"),
    ],
)
def test_normalised_text_stands_in_its_source(text, source, stands):
    assert (find(text, source, normalised=True) is not None) is stands


ALPHABET = st.text(alphabet="aAbßİ \u0301.,-12é番\n", max_size=6)


@given(ALPHABET, ALPHABET, ALPHABET)
def test_what_stands_verbatim_stands_normalised(before, text, after):
    source = before + text + after
    if find(text, source, normalised=False) is not None:
        assert find(text, source, normalised=True) is not None


@given(ALPHABET, ALPHABET, ALPHABET)
def test_a_text_between_spaces_stands_verbatim(before, text, after):
    assert find(text, f"{before} {text} {after}", normalised=False) is not None


DOCS = {"docs": [{"id": "pep-440", "text": "see [pep-345]"}, {"id": 7, "text": "b"}]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("So it is [pep-440], [7] and [pep-345].", None, id="all exist"),
        pytest.param("So it is [pep-9].", "cites pep-9, not among the ids of `docs`", id="invented"),
        pytest.param("So it is.", "expected at least 1 cited ids, got 0", id="none"),
    ],
)
def test_citations_exist_in_their_source(text, reason):
    said = one({"kind": "citations", "source": "docs"}, {"answer": text}, DOCS)
    assert said is None if reason is None else reason in str(said)


def test_a_pattern_that_backtracks_without_end_is_a_failed_check():
    begun = time.perf_counter()
    said = one({"kind": "regex", "pattern": r"^(a|a)*$"}, "a" * 40 + "!")
    assert "could not be checked" in str(said)
    assert time.perf_counter() - begun < 5


#: Takes gigabytes when it is compiled.
BOMB = "(?:" * 20 + "a{2}" + "){2}" * 20


@pytest.mark.parametrize(
    "check",
    [{"kind": "regex", "pattern": BOMB}, {"kind": "citations", "pattern": f"({BOMB})", "source": "text"}],
    ids=lambda check: check["kind"],
)
def test_a_pattern_that_takes_all_memory_to_compile_is_a_failed_check_of_its_item_alone(check):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = one(check, "aaaa")
    assert "could not be checked" in str(said)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert one({"kind": "regex", "pattern": "^a+$"}, "aaaa") is None


def test_all_texts_of_a_list_have_one_deadline():
    begun = time.perf_counter()
    said = one({"kind": "regex", "pattern": r"^(a|a)*$|!"}, ["a" * 18 + "!"] * 200)
    assert "could not be checked" in str(said)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize(
    "pattern", ["(", "a{99999999999999999999}", "(" * 4_000, "a" * 5_001], ids=lambda text: text[:9]
)
def test_what_is_no_pattern_is_a_sentence(pattern):
    with pytest.raises(ValidationError, match="expected"):
        Regex(kind="regex", pattern=pattern)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import asyncio, time\n"
        "def fine(answer, item): return item['text'] == 'x'\n"
        "def wordy(answer, item): return f'{answer} is odd'\n"
        "def silent(answer, item): return None\n"
        "def odd(answer, item): return 3\n"
        "def broken(answer, item): raise SystemExit(1)\n"
        "def hang(answer, item): time.sleep(1)\n"
        "async def late(answer, item): return 'odd' if answer % 2 else None\n"
        "async def never(answer, item): await asyncio.sleep(1)\n"
    )
    monkeypatch.setattr("firstline.workers.rules.user_functions.TIMEOUT_S", 0.1)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("fine", None, id="true"),
        pytest.param("silent", None, id="none"),
        pytest.param("wordy", "5 is odd", id="a reason"),
        pytest.param("odd", "expected True, False, None or a reason, got 3", id="something else"),
        pytest.param("broken", "raised SystemExit", id="raises"),
        pytest.param("hang", "did not return within", id="hangs"),
        pytest.param("late", "odd", id="async"),
        pytest.param("never", "did not return within", id="async that hangs"),
        pytest.param("absent", "has no 'absent'", id="missing"),
    ],
)
def test_a_users_function_is_bounded_and_its_errors_are_reasons(folder, name, reason):
    said = one({"kind": "function", "path": f"mine:{name}"}, 5, {"text": "x"}, folders=(folder,))
    assert said is None if reason is None else reason in str(said)


def test_a_skill_tells_whether_its_checks_run_user_code():
    assert may_block(skill_of({"kind": "function", "path": "mine:fine"}))
    assert may_block(skill_of({"kind": "regex", "pattern": "a"}))
    assert not may_block(skill_of({"kind": "range"}))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        pytest.param({"kind": "regex", "pattern": "("}, "expected a regular expression", id="pattern"),
        pytest.param({"kind": "citations", "source": "a", "pattern": "x"}, "expected a group", id="no group"),
        pytest.param({"kind": "range", "min": 2, "max": 1}, "min must not exceed max", id="bounds"),
        pytest.param({"kind": "length", "min": 2, "max": 1}, "min must not exceed max", id="lengths"),
        pytest.param({"kind": "date", "after": "1.1.2026"}, "expected an ISO date", id="date"),
        pytest.param({"kind": "expression", "expression": "a ="}, "expected an expression", id="expression"),
    ],
)
def test_a_check_that_cannot_work_is_refused_when_it_is_declared(check, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(CheckSpec).validate_python(check)
