"""Rows that are written at once come back as they were, from either database."""

import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store import decisions, items, subtasks
from firstline.schemas.attempt import Attempt, Usage

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
_NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
_numbers = iter(range(10_000))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.tuples(st.none() | TEXTS, VALUES),
    cost=st.none() | st.floats(0, 1e6, allow_subnormal=False),
    tokens=st.none() | st.integers(0, 2**31 - 1),
    at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    cached=st.booleans(),
)
def test_attempts_come_back_as_they_were(engine: Context, said, cost, tokens, at, cached) -> None:
    n, (text, value) = next(_numbers), said
    attempt = Attempt(
        item=n,
        step="s",
        n=0,
        tier="cheap",
        model="m",
        started_at=at,
        latency_s=0.25,
        usage=Usage(input_tokens=tokens),
        cost_usd=cost,
        text=text,
        value=value,
        from_cache=cached,
    )
    with engine.db.writing() as tx:
        items.save_attempts(tx, job="j", worker="w", attempts=[attempt])
        # Once more changes nothing.
        items.save_attempts(tx, job="j", worker="other", attempts=[attempt.model_copy(update={"cost_usd": 1.0})])
    with engine.db.reading() as tx:
        (row,) = items.attempts(tx, job="j", item=n)
    kept = text if text is None or engine.db.is_sqlite else text.replace("\0", "\ufffd")
    assert (row["text"], row["value"], row["cost_usd"], row["input_tokens"]) == (kept, value, cost, tokens)
    assert (row["started_at"], row["from_cache"], row["worker"], row["checks"]) == (at, cached, "w", [])


def _row(step: str, **columns: Any) -> dict[str, Any]:
    rest = {"n": 0, "used": 0, "faults": 0, "referrals": 0, "value": None, "kept_tier": None, "feedback": []}
    names = {"effort": None, "instruction": None, "reason": None, "due_at": None, "batch": None}
    return {"job": "j", "item": 1, "step": step, "state": "open", "tier": "cheap", **rest, **names, **columns}


def test_of_many_subtasks_only_those_that_have_ended_stay_as_they_were(engine: Context) -> None:
    due = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    with engine.db.writing() as tx:
        subtasks.save(tx, rows=[_row("a"), _row("b", state="settled", value={"x": [1, None, "ü"]})])
        subtasks.save(tx, rows=[_row("a", due_at=due, feedback=["more"]), _row("b", value="other"), _row("c")])
    with engine.db.reading() as tx:
        found = subtasks.of_items(tx, job="j", numbers=[1])[1]
    assert (found["a"]["due_at"], found["a"]["feedback"]) == (due, ["more"])
    assert (found["b"]["state"], found["b"]["value"]) == ("settled", {"x": [1, None, "ü"]})
    assert found["c"]["value"] is None


def test_no_rows_are_no_statement(engine: Context) -> None:
    with engine.db.writing() as tx:
        subtasks.save(tx, rows=[])
        assert items.save(tx, rows=[]) == 0


def test_what_is_no_finite_number_is_unknown_on_either_database(engine: Context) -> None:
    endless = {"pays_from": math.inf, "share": [0.5, math.nan]}
    with engine.db.writing() as tx:
        subtasks.save(tx, rows=[_row("endless", value=endless)])
        decisions.note(tx, job="j", kind="route", by="engine", choice="start above cheap", data=endless)
    with engine.db.reading() as tx:
        answer = subtasks.of_items(tx, job="j", numbers=[1])[1]["endless"]["value"]
        (decision,) = decisions.of(tx, job="j")
    assert answer == decision["data"] == {"pays_from": None, "share": [0.5, None]}
