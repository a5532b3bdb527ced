"""Every table says how it is pruned; what is old goes, what is young or another job's stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, Table, func, select
from sqlmodel import SQLModel

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.service.prune import ENDS, prune
from firstline.orchestrator.store import retention
from firstline.orchestrator.store.retention import BY_AGE, KEPT, OUTCOMES_KEPT, WITH_JOB
from firstline.orchestrator.store.types import UtcDateTime

AGE = timedelta(days=30)
OLD, YOUNG = timedelta(days=4000), timedelta(days=1)


def table(name: str) -> Table:
    return SQLModel.metadata.tables[name]


def row(of: Table, at: datetime, n: int = 0, /, **given: Any) -> dict[str, Any]:
    """A row of a table by its columns alone, everything in it of one time."""
    made = {
        column.name: _value(column, at, n)
        for column in of.columns
        if not (column.primary_key and isinstance(column.type, Integer) and column.autoincrement is True)
    }
    numbered = [one.name for one in of.primary_key if isinstance(one.type, Integer) and len(of.primary_key) == 1]
    return {**{name: value for name, value in made.items() if name not in numbered}, **given}


def _value(column: Column[Any], at: datetime, n: int) -> Any:
    of_kinds = {UtcDateTime: at, Boolean: False, Integer: n, Float: 0.0, LargeBinary: b"", JSON: []}
    unlike = f"{column.name}{n}" if column.primary_key or column.unique else "same"
    return next((value for kind, value in of_kinds.items() if isinstance(column.type, kind)), unlike)


def count(engine: Context, name: str, **where: Any) -> int:
    of = table(name)
    query = select(func.count()).select_from(of).where(*(of.c[column] == value for column, value in where.items()))
    with engine.db.reading() as tx:
        return int(tx.scalar(query) or 0)


def fill(engine: Context, name: str, rows: list[dict[str, Any]]) -> None:
    with engine.db.writing() as tx:
        tx.execute(table(name).insert(), rows)


def test_every_table_says_how_it_is_pruned_or_why_it_is_not() -> None:
    told = [*WITH_JOB, *BY_AGE, *KEPT]
    assert sorted(told) == sorted(SQLModel.metadata.tables), "say in orchestrator/store/retention.py how it is pruned"
    assert all(KEPT.values())


def test_every_table_that_names_a_job_goes_with_it_or_says_why_not() -> None:
    named = {name for name, one in SQLModel.metadata.tables.items() if "job" in one.columns}
    assert named - set(WITH_JOB) == {"calibration", "gold", "outcome"}


@pytest.mark.parametrize("name", [name for name in WITH_JOB if name != "job"])
def test_what_belongs_to_a_job_goes_with_it_and_with_no_other(
    engine: Context, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_ITEMS_AT_ONCE", 2)
    now, number = datetime.now(UTC), WITH_JOB[name]
    for job, at in (("old", now - OLD), ("young", now - YOUNG)):
        fill(engine, "job", [row(table("job"), at, id=job, state="done", idempotency_key=job)])
        numbers = range(-1, 5) if number else range(1)
        given = [row(table(name), at, n, job=job, **({number: n} if number else {})) for n in numbers]
        if "id" in table(name).columns and "id" in given[0]:
            given = [{**one, "id": f"{job} {n}"} for n, one in enumerate(given)]
        fill(engine, name, given)
        if number and name != "item":
            fill(engine, "item", [row(table("item"), at, n, job=job) for n in numbers])
    assert prune(engine, age=AGE, states=ENDS, dry_run=True) == ["old"]
    assert count(engine, name, job="old") > 0
    assert prune(engine, age=AGE, states=ENDS) == ["old"]
    assert count(engine, name, job="old") == 0
    assert count(engine, name, job="young") == (6 if number else 1)
    assert (count(engine, "job"), count(engine, "item", job="old")) == (1, 0)


@pytest.mark.parametrize("name", BY_AGE)
def test_what_grows_with_time_goes_by_age(engine: Context, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "OUTCOMES_KEPT", 2)
    now, one = datetime.now(UTC), table(name)
    fill(engine, name, [row(one, now - OLD, n) for n in range(3)] + [row(one, now - YOUNG, n) for n in (3, 4)])
    prune(engine, age=AGE, states=ENDS, dry_run=True)
    assert count(engine, name) == 5
    prune(engine, age=AGE, states=ENDS)
    assert count(engine, name) == 2


def test_the_newest_outcomes_and_what_a_judge_is_known_by_stay_however_old(engine: Context) -> None:
    old = datetime.now(UTC) - OLD
    fill(engine, "outcome", [row(table("outcome"), old, n) for n in range(OUTCOMES_KEPT + 5)])
    fill(engine, "outcome", [row(table("outcome"), old, model="another") for _ in range(3)])
    fill(engine, "judge_error", [row(table("judge_error"), old) for _ in range(4)])
    prune(engine, age=AGE, states=ENDS)
    assert count(engine, "outcome", model="same") == OUTCOMES_KEPT
    assert count(engine, "outcome", model="another") == 3
    assert count(engine, "judge_error") == 1


def test_the_audit_log_is_kept_for_a_year_at_least(engine: Context) -> None:
    ages = (timedelta(days=days) for days in (100, 364, 366))
    fill(engine, "audit_log", [row(table("audit_log"), datetime.now(UTC) - age) for age in ages])
    prune(engine, age=AGE, states=ENDS)
    assert count(engine, "audit_log") == 2
