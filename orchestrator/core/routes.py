"""The routes in force, as decisions have them: read once in a while, and laid over a job's plan."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from firstline.orchestrator.store import decisions
from firstline.schemas.plan import Plan, Route

#: Seconds for which what was read of a job's routes is good, and between two weighings of it at most.
FRESH_S = 0.2
#: A weighing that took a second is followed by so many without one: what does not pay is left soon, at 5% of the time.
RESTS = 20.0


@dataclass
class Routes:
    """What one process knows of jobs' routes."""

    _known: dict[str, tuple[float, Mapping[str, Route]]] = field(default_factory=dict)
    #: When each job is weighed again.
    _due: dict[str, float] = field(default_factory=dict)

    def of(self, tx: Connection, job: str) -> Mapping[str, Route]:
        """Return step -> route of a job, as of a moment ago."""
        read_at, known = self._known.get(job, (-FRESH_S, {}))
        if time.monotonic() - read_at < FRESH_S:
            return known
        if len(self._known) > 200:
            self._known.clear()
        rows = decisions.of(tx, job=job, kind="route")
        found = {row["step"]: Route.model_validate(row["data"]["route"]) for row in rows}
        self._known[job] = (time.monotonic(), found)
        return found

    def is_due(self, job: str) -> bool:
        """Say whether a job's tiers are to be weighed again; not with every trail."""
        now = time.monotonic()
        if now < self._due.get(job, now):
            return False
        if len(self._due) > 200:
            self._due.clear()
        self._due[job] = now + FRESH_S
        return True

    def weighed(self, job: str, took_s: float) -> None:
        """Note how long a weighing took: the next one is due the sooner for it."""
        self._due[job] = time.monotonic() + min(FRESH_S, RESTS * took_s)

    def forget(self, job: str) -> None:
        """Read a job's routes anew at the next look."""
        self._known.pop(job, None)


def laid_over(plan: Plan, routes: Mapping[str, Route]) -> Plan:
    """Return the plan with the routes in force."""
    if not routes:
        return plan
    steps = tuple(
        planned.evolve(route=routes[planned.step.name]) if planned.step.name in routes else planned
        for planned in plan.steps
    )
    return plan.evolve(steps=steps)
