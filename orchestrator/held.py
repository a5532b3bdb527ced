"""Jobs that a budget has paused go on by themselves: the cap was raised or lifted, or its day is over."""

from orchestrator import budgets, steer
from orchestrator.engine import Engine
from orchestrator.store import budgets as budget_store


def let_go(engine: Engine) -> int:
    """Resume the jobs whose budget has moved since it paused them; return how many."""
    with engine.db.reading() as tx:
        held = budget_store.held(tx)
        free = [row["id"] for row in held if budgets.has_moved(tx, engine.job(tx, row["id"]), row)]
    return sum(steer.resume(engine, job) for job in free)
