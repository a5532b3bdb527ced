"""Plays a job's workers by hand: what is said is chosen per step, everything else is the engine's own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.tables import AttemptRow
from firstline.schemas.attempt import Attempt
from firstline.schemas.base import Json
from firstline.schemas.batch import Batch, ItemTrail, Left, Settled, Todo, Trail, Work
from firstline.schemas.verdict import Parked, Reject
from tests.integration.jobs import cut, flying, rows

#: What a worker says to a subtask of an item: a value that settles it, or a verdict that leaves it.
Say = Callable[[Work, Todo], Json | Parked]
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Played:
    """All that was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[tuple[Batch, Work, Todo]] = []

    def steps(self) -> list[str]:
        """Names of the steps asked, each once, in order."""
        return list(dict.fromkeys(todo.step for _, _, todo in self.asked))

    def of(self, step: str) -> list[tuple[Batch, Work, Todo]]:
        """What was asked of a step."""
        return [one for one in self.asked if one[2].step == step]


def play(engine: Context, job: str, say: Say) -> Played:
    """Answer and judge until nothing is out any more."""
    played = Played()
    for turn in range(80):
        cut(engine, job)
        out = flying(engine, job)
        if not out:
            return played
        for batch in out:
            settle_trail(engine, _trail(played, batch, say, _NOON + timedelta(seconds=turn)))
    raise AssertionError("the job does not come to an end")


def _trail(played: Played, batch: Batch, say: Say, at: datetime) -> Trail:
    items = tuple(_item(played, batch, work, say, at) for work in batch.work)
    return Trail(
        batch=batch.id,
        job=batch.job,
        segment=batch.segment,
        shard=batch.shard,
        tier=batch.tier.name,
        worker="w1",
        items=items,
    )


def _item(played: Played, batch: Batch, work: Work, say: Say, at: datetime) -> ItemTrail:
    attempts, settled, left = [], [], []
    for todo in work.todo:
        played.asked.append((batch, work, todo))
        said: Any = say(work, todo)
        parked = hasattr(said, "kind")
        attempts.append(
            Attempt(
                item=work.item,
                step=todo.step,
                n=todo.n,
                tier=batch.tier.name,
                model=batch.tier.models[0].name if batch.tier.models else todo.step,
                started_at=at,
                latency_s=0.1,
                cost_usd=0.25,
                text=str(said),
                verdict=said.kind if parked else "accept",
                reason=said.reason if parked else "",
            )
        )
        if parked:
            left.append(Left(step=todo.step, n=todo.n + 1, used=todo.used + 1, verdict=said))
        else:
            settled.append(Settled(step=todo.step, n=todo.n, value=said))
    return ItemTrail(item=work.item, attempts=tuple(attempts), settled=tuple(settled), left=tuple(left))


def decided(engine: Context, job: str, kind: str | None = None) -> list[tuple[str, str]]:
    """(by, choice) of the decisions on record."""
    with engine.db.reading() as tx:
        return [(row["by"], row["choice"]) for row in decisions.of(tx, job=job, kind=kind)]


def numbers(engine: Context, job: str, item: int, step: str) -> list[int]:
    """Numbers of the attempts on record for a subtask."""
    return sorted(row["n"] for row in rows(engine, AttemptRow, job=job, item=item, step=step))


def never(work: Work, todo: Todo) -> Json:
    """Nobody should be asked."""
    raise AssertionError(f"{todo.step} was asked")


NO = Reject(reason="no good")
