"""JSON from outside: strict at the door, bounded, and mended only without loss."""

import json
from pathlib import Path

import pytest

from firstline.workers.rules.json_text import MAX_DEPTH, Unreadable, printable, read_json, read_mended, read_value

SUITE = Path(__file__).parents[3] / "data" / "json_test_suite"
FILES = sorted((SUITE / "test_parsing").glob("*.json"))

#: Valid texts that are refused all the same, and why.
REFUSED = {
    "y_object_duplicated_key.json": "one of two different values would be lost",
    "y_object_escaped_null_in_key.json": "PostgreSQL keeps no NUL",
    "y_string_null_escape.json": "PostgreSQL keeps no NUL",
}
#: Invalid texts that are mended where a model answered with them, and why nothing is lost.
MENDED = {
    "n_array_extra_comma.json": "a trailing comma",
    "n_array_number_and_comma.json": "a trailing comma",
    "n_object_trailing_comma.json": "a trailing comma",
    "n_object_key_with_single_quotes.json": "other quotation marks",
    "n_object_single_quote.json": "other quotation marks",
    "n_string_single_quote.json": "other quotation marks",
    "n_object_unquoted_key.json": "a key without quotation marks",
    "n_object_repeated_null_null.json": "a key without quotation marks; the same value twice",
    "n_string_unescaped_newline.json": "a raw line break",
    "n_string_unescaped_tab.json": "a raw tab",
    "n_structure_capitalized_True.json": "a literal of Python",
}


def text_of(path):
    return path.read_bytes().decode("utf-8", "surrogateescape")


def test_the_suite_is_whole():
    assert len(FILES) == 318


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_door_takes_what_is_json_and_refuses_what_is_none(path):
    text, expected = text_of(path), path.name[0]
    try:
        value = read_json(text)
    except Unreadable:
        assert expected in "ni" or path.name in REFUSED
        return
    assert expected in "yi"
    assert path.name not in REFUSED
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("path", [path for path in FILES if path.name[0] == "n"], ids=lambda path: path.name)
def test_of_invalid_texts_only_those_are_mended_that_lose_nothing(path):
    try:
        found = read_mended(text_of(path))
    except Unreadable:
        assert path.name not in MENDED
        return
    assert path.name in MENDED
    assert found.mends


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 101 + "]" * 101, "nested deeper"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested deeper"),
        ("1e999", "beyond"),
        ("-1e999", "beyond"),
        ("1e-999", "beyond"),
        ("9" * 6000, "6000 digits"),
        ('"\\ud83d"', "half a surrogate pair"),
        ('"\\udcb2 x"', "half a surrogate pair"),
        ('"\\ude00\\ud83d"', "half a surrogate pair"),
        ('"\ud83d"', "half a surrogate pair"),
        ('"a\\u0000b"', "NUL"),
        ('{"a\\u0000b": 1}', "NUL"),
        ("NaN", "expected a value"),
        ("-Infinity", "expected a value"),
        ('{"a": 1, "a": 2}', "twice"),
        ("1 2", "nothing more"),
    ],
)
def test_what_could_not_be_kept_is_refused_with_the_reason(text, why):
    with pytest.raises(Unreadable, match=why):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"bell \\u0007 esc \\u001b[31m"', "bell \x07 esc \x1b[31m"),
        ('"\\ufffe"', "\ufffe"),
        ("9" * 400, int("9" * 400)),
        ('{"a": 1, "a": 1}', {"a": 1}),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, None),
        ("12345678901234567890", 12345678901234567890),
        ("1E2", 100.0),
    ],
)
def test_what_can_be_kept_is_kept_as_it_is(text, value):
    found = read_json(text)
    assert value is None or (found == value and type(found) is type(value))


def test_minus_zero_keeps_its_sign():
    assert str(read_json("-0")) == str(read_json("-0.0")) == "-0.0"


def test_the_leaves_of_a_value_are_told_with_their_places():
    text = 'x {"a": {"b": "hi"}, "c": [1, true]} y'
    leaves = read_value(text, 2, leaves=True).leaves
    assert {".".join(leaf.path): text[leaf.start : leaf.end] for leaf in leaves} == {
        "a.b": "hi",
        "c.0": "1",
        "c.1": "true",
    }


def test_a_text_is_made_fit_to_be_kept():
    assert printable("a\ud83db\0c\U0001f600") == "a\ufffdb\ufffdc\U0001f600"
