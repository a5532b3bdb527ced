"""What judging reads of a job does not grow with the job, also while PostgreSQL has not counted its tables."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store import items, subtasks
from firstline.orchestrator.store.jobs import now
from firstline.schemas.attempt import Attempt, Usage

COUNT = 4000
SOME = range(2000, 2020)


@pytest.fixture
def large(engine: Context) -> Context:
    """A job of many items, each with a subtask and an attempt, in a database that knows nothing about them."""
    if engine.db.is_sqlite:
        pytest.skip("SQLite goes by the statement alone")
    handed_in = {"input": {}, "state": "pending", "reason": None, "same_as": None, "segment": 0}
    nothing = {"attempts": 0, "cost_usd": 0.0, "unpriced": 0, "ended_at": None}
    counts = {"n": 0, "used": 0, "faults": 0, "referrals": 0, "value": None, "kept_tier": None, "feedback": []}
    names = {"effort": None, "instruction": None, "reason": None, "due_at": None, "batch": None}
    subtask = {"step": "s", "state": "open", "tier": "cheap", **counts, **names}
    with engine.db.writing() as tx:
        items.insert(tx, rows=[{"job": "j", "n": n, "item_id": str(n), **handed_in, **nothing} for n in range(COUNT)])
        subtasks.save(tx, rows=[{"job": "j", "item": n, **subtask} for n in range(COUNT)])
        made = (
            Attempt(item=n, step="s", n=0, tier="cheap", model="m", started_at=now(), latency_s=0.1, usage=Usage())
            for n in range(COUNT)
        )
        items.save_attempts(tx, job="j", worker="w", attempts=made)
    return engine


def _passed_over(plan: dict[str, Any]) -> int:
    here = sum(int(count) for name, count in plan.items() if name.startswith("Rows Removed by"))
    return (here + sum(map(_passed_over, plan.get("Plans", ())))) * int(plan.get("Actual Loops", 1))


@pytest.mark.parametrize(
    "read",
    [
        lambda tx: items.load(tx, job="j", numbers=SOME),
        lambda tx: items.load(tx, job="j", numbers=SOME, lock=True),
        lambda tx: items.lock(tx, job="j", numbers=SOME),
        lambda tx: subtasks.standings(tx, job="j", numbers=SOME),
        lambda tx: subtasks.of_items(tx, job="j", numbers=SOME),
        lambda tx: items.calls(tx, job="j", numbers=SOME),
        lambda tx: items.pending(tx, job="j", segment=0, lo=SOME.start, hi=SOME.stop),
    ],
    ids=["load", "load locked", "lock", "standings", "subtasks", "calls", "pending"],
)
def test_only_what_is_asked_for_is_looked_at(large: Context, read: Callable[[Connection], Any]) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(large.db.engine, "before_cursor_execute", note)
    with large.db.writing() as tx:
        found = read(tx)
    event.remove(large.db.engine, "before_cursor_execute", note)
    assert found is None or len(found) == len(SOME)
    (statement, parameters) = asked[-1]
    with large.db.writing() as tx:
        told = tx.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters).scalar_one()
    assert _passed_over(told[0]["Plan"]) < 10 * len(SOME)
