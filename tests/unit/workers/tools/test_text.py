"""Text functions answer exactly, and no pattern or unit keeps them busy for long."""

import time
from typing import Any

import pytest

from firstline.schemas.tool import ToolResult, ToolSpec
from firstline.workers.tools.base import Place
from firstline.workers.tools.registry import bind


def run(kind: str, arguments: dict[str, Any], **options: Any) -> ToolResult:
    return bind(ToolSpec(name="tool", kind=kind, options=options), Place()).run(arguments)


def test_matches_come_with_offsets_and_groups_by_name() -> None:
    result = run("regex_extract", {"text": "a=1, b=2", "pattern": r"(?P<key>\w)=(?P<value>\d)"})
    assert result.value == [
        {"text": "a=1", "start": 0, "end": 3, "groups": {"key": "a", "value": "1"}},
        {"text": "b=2", "start": 5, "end": 8, "groups": {"key": "b", "value": "2"}},
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(r"(a|aa)+$", "a" * 5000 + "b", id="alternatives"),
        pytest.param(r"(.*?,){25}P", "1,2,3,4,5,6,7,8,9,10," * 60, id="lazy-repeats"),
        pytest.param(r"a.*?b|a", "a" * 200_000, id="quadratic"),
    ],
)
def test_a_catastrophic_pattern_is_stopped_in_time(pattern: str, text: str) -> None:
    started = time.monotonic()
    result = run("regex_extract", {"text": text, "pattern": pattern}, timeout_s=0.3)
    assert "took longer than 0.3 s" in str(result.error)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("pattern", ["(", "[a", "(?P<x>a)(?P=y)", "*"])
def test_a_broken_pattern_is_an_error_as_data(pattern: str) -> None:
    assert "not a regular expression" in str(run("regex_extract", {"text": "x", "pattern": pattern}).error)


def test_a_thousand_matches_are_enough() -> None:
    result = run("regex_extract", {"text": "x" * 1500, "pattern": "x"})
    assert result.truncated
    assert isinstance(result.value, list)
    assert len(result.value) == 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("on 2024-02-29.", "2024-02-29", id="iso"),
        pytest.param("at 2024-02-29T10:30:00Z", "2024-02-29T10:30:00+00:00", id="iso-time"),
        pytest.param("the 3rd of March 2021", "2021-03-03", id="ordinal"),
        pytest.param("March 3, 2021", "2021-03-03", id="american"),
        pytest.param("12 Sept 1999", "1999-09-12", id="short-month"),
        pytest.param("in March 2021", "2021-03", id="no-day"),
        pytest.param("31/12/2020", "2020-12-31", id="day-must-be-first"),
        pytest.param("12/31/2020", "2020-12-31", id="month-must-be-first"),
        pytest.param("05/05/2020", "2020-05-05", id="either-way-the-same"),
        pytest.param("03/04/2020", None, id="cannot-be-told"),
        pytest.param("2023-02-30", None, id="no-such-day"),
    ],
)
def test_dates_are_written_in_iso_and_unknown_ones_are_none(text: str, expected: str | None) -> None:
    value: Any = run("dates", {"text": text}).value
    assert [found["date"] for found in value] == [expected]
    assert text[value[0]["start"] : value[0]["end"]] == value[0]["text"]


@pytest.mark.parametrize(("day_first", "expected"), [(True, "2020-04-03"), (False, "2020-03-04")])
def test_the_declaration_says_how_to_read_slashes(day_first: bool, expected: str) -> None:
    value: Any = run("dates", {"text": "03/04/2020"}, day_first=day_first).value
    assert value[0]["date"] == expected


@pytest.mark.parametrize("text", ["", "version 1.2.3", "may be 12 of them", "phone 555-1234"])
def test_what_is_no_date_is_not_found(text: str) -> None:
    assert run("dates", {"text": text}).value == []


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (5, "km", "mile", 3.1068560),
        (100, "degC", "degF", 212.0),
        (90, "km/h", "m/s", 25.0),
        (1, "kg*m^2", "g*cm^2", 1e7),
    ],
)
def test_units_are_converted(value: float, unit: str, to: str, expected: float) -> None:
    answer: Any = run("units", {"value": value, "unit": unit, "to": to}).value
    assert answer["value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("unit", "to", "reason"),
    [
        ("km", "kg", "cannot convert"),
        ("flurbs", "kg", "cannot convert"),
        ("9**9**9", "m", "not a unit"),
        ("m**9**9**9", "m", "not a unit"),
        ("m^99999999", "m", "not a unit"),
        ("__import__('os').system('true')", "m", "not a unit"),
    ],
)
def test_what_cannot_be_converted_says_why(unit: str, to: str, reason: str) -> None:
    assert reason in str(run("units", {"value": 1, "unit": unit, "to": to}).error)


@pytest.mark.parametrize(
    ("mode", "groups"),
    [
        ("exact", [[0], [1], [2], [3], [4]]),
        ("normalised", [[0, 1], [2], [3], [4]]),
        ("near", [[0, 1, 2], [3], [4]]),
    ],
)
def test_what_counts_as_the_same_is_declared(mode: str, groups: list[list[int]]) -> None:
    texts = ["My card is lost!", "my CARD is  lost", "my card is losst", "Where is my money?", ""]
    answer: Any = run("dedupe", {"texts": texts}, mode=mode).value
    assert answer["groups"] == groups
    assert answer["texts"] == [texts[group[0]] for group in groups]


def test_near_duplicates_among_too_many_texts_are_refused() -> None:
    assert "at most 2000" in str(run("dedupe", {"texts": ["x"] * 2001}, mode="near").error)
