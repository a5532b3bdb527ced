"""Jobs that a budget has paused go on by themselves: the cap was raised or lifted, or its day is over."""

from sqlalchemy import Connection, RowMapping

from firstline.orchestrator.core.context import Engine, Job
from firstline.orchestrator.engine import lifecycle
from firstline.orchestrator.money import budgets
from firstline.orchestrator.store import budgets as budget_store


def let_go(engine: Engine) -> int:
    """Resume the jobs whose budget has moved since it paused them; return how many."""
    with engine.db.reading() as tx:
        held = budget_store.held(tx)
        free = [row["id"] for row in held if _is_free(tx, engine.job(tx, row["id"]), row)]
    return sum(lifecycle.resume(engine, job) for job in free)


def _is_free(tx: Connection, job: Job, held: RowMapping) -> bool:
    return budgets.has_moved(tx, job, key=held["held_by"], cap_usd=held["held_cap_usd"])
