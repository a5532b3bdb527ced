"""Failures that look alike are one cause."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.reports.failures import causes, normalised
from firstline.schemas.failure import Failure


def failure(
    reason: str, *, check: str | None = "regex", error: str = "checks", model: str = "small", **changes
) -> Failure:
    return Failure(
        job="j",
        item_id=changes.pop("item_id", "1"),
        step="s",
        n=0,
        skill=changes.pop("skill", "sort"),
        skill_version=1,
        skill_digest="d",
        tier="cheap",
        model=model,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        error=error,
        checks=(check,) if check else (),
        reasons=(reason,),
        verdict="escalate",
        value=None,
        text=None,
        then="given up",
        input={},
        **changes,
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param("expected 3 words, got 12", "expected <number> words, got <number>", id="numbers"),
        pytest.param("'Ann B.' is not in the text", "<text> is not in the text", id="quotations"),
        pytest.param("`clauses.3.quote`: too  long", "<place>: too long", id="places in a list, white space"),
    ],
)
def test_what_differs_from_item_to_item_is_replaced(reason, expected):
    assert normalised(reason) == expected


def test_alike_reasons_of_one_check_are_one_cause_the_most_frequent_first():
    found = causes(
        [
            failure("expected at most 80 words, got 92", item_id="a", settled_by="frontier"),
            failure("lacks label", check="schema", error="off_schema"),
            failure("expected at most 80 words, got 113", item_id="b", model="mid"),
            failure("expected at most 80 words, got 81", item_id="a"),
        ]
    )
    assert [(one.check, one.count) for one in found] == [("regex", 3), ("schema", 1)]
    assert found[0].reason == "expected at most <number> words, got <number>"
    assert found[0].models == {"small": 2, "mid": 1}
    assert (found[0].mended, found[0].examples) == (1, ("j/a", "j/b"))


def test_another_skill_check_or_kind_of_error_is_another_cause():
    found = causes(
        [
            failure("too long"),
            failure("too long", skill="other"),
            failure("too long", check="length"),
            failure("too long", check=None, error="truncated"),
        ]
    )
    assert len(found) == 4
    assert {one.check for one in found} == {"regex", "length", "truncated"}


@given(st.lists(st.text(max_size=40), max_size=25))
def test_every_failure_belongs_to_exactly_one_cause(reasons):
    assert sum(one.count for one in causes(map(failure, reasons))) == len(reasons)
