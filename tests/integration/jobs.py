"""Jobs for tests, and workers' trails written by hand."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine import publish
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.engine.release import release, send_shard
from firstline.orchestrator.store import batches
from firstline.orchestrator.store.tables import AttemptRow, BatchRow, ItemRow, JobRow, ShardRow, SubtaskRow
from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import Batch, ItemTrail, Left, Settled, Todo, Trail
from firstline.schemas.job import JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Model, Price, Profile, Tier
from firstline.schemas.verdict import Parked

MODEL = Model(name="openai/small", price=Price(input=1, output=1))
PROFILE = Profile(
    name="test",
    tiers=(
        Tier(name="cheap", concurrency=8, models=(MODEL,)),
        Tier(name="frontier", concurrency=4, models=(MODEL.evolve(name="openai/large"),)),
    ),
)
SKILL = Skill.model_validate(
    {
        "name": "sort",
        "instructions": "Classify.",
        "input": {"text": {}},
        "output": {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]},
        "compare": {"label": "exact"},
    }
)
PRICE_USD = 0.25
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

#: What a worker does with a subtask: None settles it.
Deal = Callable[[int, Todo], Parked | None]
#: What is on record of a batch's calls besides.
Call = Callable[[Batch], Mapping[str, Any]]


def workflow(steps: Sequence[Step] | int = 1) -> Workflow:
    if isinstance(steps, int):
        names = [f"s{n}" for n in range(steps)]
        steps = [Step(name=name, skill="sort", after=tuple(names[:n][-1:])) for n, name in enumerate(names)]
    return Workflow(name="w", steps=tuple(steps), skills=(SKILL,))


def submitted(count: int = 3, *, steps: Sequence[Step] | int = 1, profile: Profile = PROFILE, **options: Any) -> str:
    request = JobRequest(workflow=workflow(steps), profile=profile, options=Options(**{"dedupe": False, **options}))
    return api.submit(request, ({"id": f"i{n}", "text": f"text {n}"} for n in range(count)))


def begun(engine: Context, count: int = 3, **options: Any) -> str:
    """A job whose first shards are cut and sent."""
    job = submitted(count, **options)
    start(engine, job)
    cut(engine, job)
    return job


def cut(engine: Context, job: str) -> None:
    """Do what orchestrators do with the messages that release shards."""
    release(engine, job)
    for shard in rows(engine, ShardRow, job=job, state="released"):
        send_shard(engine, job, shard["segment"], shard["n"])


def rows(engine: Context, table: Any, **where: Any) -> list[Any]:
    columns = table.__table__.c
    query = table.__table__.select().where(*(columns[name] == value for name, value in where.items()))
    with engine.db.reading() as tx:
        return list(tx.execute(query).mappings())


def change(engine: Context, table: Any, values: dict[str, Any], **where: Any) -> None:
    columns = table.__table__.c
    query = table.__table__.update().where(*(columns[name] == value for name, value in where.items()))
    with engine.db.writing() as tx:
        tx.execute(query.values(**values))


def age(engine: Context, job: str, seconds: float = 10) -> None:
    """Let everything that was sent be so old that the sweep looks at it."""
    past = datetime.now(UTC) - timedelta(seconds=seconds)
    change(engine, BatchRow, {"changed_at": past}, job=job)
    change(engine, ShardRow, {"released_at": past}, job=job)


def flying(engine: Context, job: str) -> list[Batch]:
    """The messages that are out, as workers read them."""
    with engine.db.writing() as tx:
        ids = [
            row["id"]
            for row in tx.execute(
                BatchRow.__table__.select().where(
                    BatchRow.__table__.c.job == job,  # type: ignore[attr-defined]
                    BatchRow.__table__.c.state.in_(("ready", "sent")),
                )
            ).mappings()
        ]  # type: ignore[attr-defined]
        return publish.assembled(tx, job=engine.job(tx, job), ids=ids)


def answered(
    batch: Batch,
    deal: Deal = lambda item, todo: None,
    *,
    worker: str = "w1",
    began: datetime = NOON,
    call: Call = lambda batch: {},
) -> Trail:
    """A worker's trail: one call for each subtask, with what `call` says besides of each."""
    return Trail(
        batch=batch.id,
        job=batch.job,
        segment=batch.segment,
        shard=batch.shard,
        tier=batch.tier.name,
        worker=worker,
        items=tuple(_item(batch, work.item, work.todo, deal, began, call(batch)) for work in batch.work),
    )


def _item(
    batch: Batch, item: int, todos: Sequence[Todo], deal: Deal, began: datetime, call: Mapping[str, Any]
) -> ItemTrail:
    attempts, settled, left = [], [], []
    for todo in todos:
        verdict = deal(item, todo)
        attempts.append(
            Attempt(
                item=item,
                step=todo.step,
                n=todo.n,
                tier=batch.tier.name,
                model=batch.tier.models[0].name,
                started_at=began,
                latency_s=0.1,
                verdict="accept" if verdict is None else verdict.kind,
                **{"cost_usd": PRICE_USD, **call},
            )
        )
        if verdict is None:
            settled.append(Settled(step=todo.step, n=todo.n, value={"label": f"{todo.step} of {item}"}))
        else:
            left.append(Left(step=todo.step, n=todo.n + 1, used=todo.used + 1, verdict=verdict))
    return ItemTrail(item=item, attempts=tuple(attempts), settled=tuple(settled), left=tuple(left))


def work(engine: Context, job: str, deal: Deal = lambda item, todo: None, call: Call = lambda batch: {}) -> None:
    """Answer and judge until nothing is out any more."""
    for turn in range(50):
        cut(engine, job)
        out = flying(engine, job)
        if not out:
            return
        for batch in out:
            settle_trail(engine, answered(batch, deal, began=datetime.now(UTC) + timedelta(seconds=turn), call=call))
    raise AssertionError("the job does not come to an end")


def money(engine: Context, job: str) -> tuple[int, float]:
    """Calls and dollars on record, the same in attempts and in items."""
    attempts = rows(engine, AttemptRow, job=job)
    items = rows(engine, ItemRow, job=job)
    paid = (len(attempts), sum(row["cost_usd"] or 0 for row in attempts))
    assert paid == (sum(row["attempts"] for row in items), sum(row["cost_usd"] for row in items))
    return paid


def state(engine: Context, job: str) -> str:
    return str(rows(engine, JobRow, id=job)[0]["state"])


def subtasks(engine: Context, job: str) -> list[str]:
    return [row["state"] for row in rows(engine, SubtaskRow, job=job)]


def queued(engine: Context, name: str) -> int:
    """Messages that wait in a queue, of any priority."""
    keys = [
        key
        for key in engine.redis.scan_iter(f"{engine.settings.keys.queue(name)}*")
        if engine.redis.type(key) == "list"
    ]
    return sum(engine.redis.llen(key) for key in keys)


def batch_row(engine: Context, batch: str) -> Any:
    with engine.db.reading() as tx:
        return batches.get(tx, batch=batch)
