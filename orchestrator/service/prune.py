"""Pruning: which jobs are old enough to go, and their removal, one by one."""

import re
from collections.abc import Sequence
from datetime import timedelta

from redis.exceptions import RedisError

from firstline.config.shared_state.budget_counters import forget
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.store import retention
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobState

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
ENDS = tuple(state for state in JobState if state.ended)


def read_age(text: str, *, option: str = "--older-than") -> timedelta:
    """Return what `30d`, `12h`, `2w` or `90m` stands for; UserError for anything else."""
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if found is None:
        raise UserError(f"{option}: expected an age such as 30d, 12h, 2w or 90m, got '{text}'")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def read_states(names: Sequence[str]) -> tuple[JobState, ...]:
    """Return states of jobs that have ended, all where none is named; UserError for another one."""
    known = {state.value: state for state in ENDS}
    for name in names:
        if name not in known:
            raise UserError(
                f"--state: expected {', '.join(known)}, got '{name}'; only jobs that have ended are removed"
            )
    return tuple(known[name] for name in names) or ENDS


def prune(engine: Context, *, age: timedelta, states: Sequence[JobState], dry_run: bool = False) -> list[str]:
    """Remove jobs that ended longer ago than `age`, and whatever else grows with time; return the jobs' ids.

    A large job goes part by part, so that work goes on beside it; what is left of one is removed by the next pruning.
    """
    with engine.db.reading() as tx:
        found = retention.ended_before(tx, age=age, states=states)
    if dry_run:
        return found
    for job in found:
        with engine.db.reading() as tx:
            parts = list(retention.slices(tx, job=job))
        for lo, hi in parts:
            with engine.db.writing() as tx:
                retention.remove_items(tx, job=job, lo=lo, hi=hi)
        with engine.db.writing() as tx:
            retention.remove(tx, job=job)
        _forget(engine, job)
    for table in retention.BY_AGE:
        with engine.db.writing() as tx:
            retention.remove_aged(tx, table=table, age=age)
    return found


def _forget(engine: Context, job: str) -> None:
    """Drop what Redis keeps of a job, where one is configured; it expires by itself otherwise."""
    if engine.settings.redis_url is None:
        return
    keys = engine.settings.keys
    try:
        forget(engine.redis, keys, f"job.{job}")
        engine.redis.delete(keys.cancel(job), keys.events(job))
    except RedisError:
        return
