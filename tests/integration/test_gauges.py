"""How a deployment stands, asked of both databases and of a real Redis."""

import gc
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from firstline.orchestrator.core import counters
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.monitoring.live_workers import Crowd, look
from firstline.orchestrator.monitoring.snapshot import Lookout
from firstline.orchestrator.monitoring.tier_load import loads
from firstline.orchestrator.store import audits, gauges
from firstline.orchestrator.store.quality_tables import AuditRow
from firstline.orchestrator.store.tables import ShardRow, SubtaskRow
from firstline.schemas.attempt import Attempt
from firstline.schemas.batch import ItemTrail, Trail
from firstline.schemas.plan import Step
from firstline.schemas.policy import Policy
from firstline.schemas.verdict import Escalate
from tests.integration.jobs import NOON, PRICE_USD, PROFILE, age, begun, flying, rows, submitted, work

#: Tables that grow with every item that was ever answered.
LARGE = ("attempt", "item", "subtask", "batch", "shard")


@pytest.fixture(autouse=True)
def collected(engine: Context) -> Iterator[None]:
    """Let Celery's results go while their Redis is there: they unsubscribe when they are collected."""
    yield
    gc.collect()


#: Starts on a named tier, so that nothing is held back until it is known whether that pays.
PINNED = (Step(name="s0", skill="sort", policy=Policy(start="cheap")),)


def beat(engine: Context, name: str, *, queues: tuple[str, ...], batches: tuple[str, ...] = ()) -> None:
    """Do what a live worker's heart does."""
    keys = engine.settings.keys
    engine.redis.zadd(keys.workers, {name: time.time()})
    engine.redis.set(keys.heartbeat(name), json.dumps({"worker": name, "queues": queues, "batches": batches}))


def test_what_a_live_worker_holds_runs_and_the_rest_is_queued(engine: Context) -> None:
    job = begun(engine, 12)
    age(engine, job, seconds=30)
    first, *others = flying(engine, job)
    with engine.db.reading() as tx:
        (out,) = gauges.out(tx, held=[first.id, "unheard-of"])
        (idle,) = gauges.out(tx, held=[])
    queued = sum(len(batch.work) for batch in others)
    assert (out.job, out.tier, out.running, out.queued) == (job, "cheap", len(first.work), queued)
    assert out.oldest_s == pytest.approx(30, abs=5)
    assert (idle.running, idle.queued) == (0, 12)


def test_nothing_is_out_when_all_has_ended(engine: Context) -> None:
    job = begun(engine, 5)
    work(engine, job)
    with engine.db.reading() as tx:
        assert gauges.out(tx, held=[]) == []
        assert gauges.jobs_by_state(tx) == {"done": 1}
        assert gauges.unreleased(tx) == 0


def test_items_of_shards_that_wait_for_the_window_are_unreleased(engine: Context) -> None:
    start(engine, submitted(500, steps=PINNED))
    with engine.db.reading() as tx:
        assert gauges.unreleased(tx) == 440


def test_a_window_is_wider_where_calls_are_answered_at_once(engine: Context) -> None:
    engine.pace.hear(_trail_of(0.001))
    job = submitted(2200, steps=PINNED)
    start(engine, job)
    with engine.db.reading() as tx:
        assert gauges.unreleased(tx) == 600
    # Ten shards of 20 items and seven of 200; the first is sent then and there.
    assert len(rows(engine, ShardRow, job=job, state="cut")) == 1
    assert len(rows(engine, ShardRow, job=job, state="released")) == 16


def test_subtasks_that_wait_for_no_worker_are_counted_by_what_they_wait_for(engine: Context) -> None:
    job = submitted(4)
    with engine.db.writing() as tx:
        for item, state in enumerate(("review", "review", "deferred", "settled")):
            row = SubtaskRow(job=job, item=item, step="s0", state=state, tier="cheap")
            tx.execute(SubtaskRow.__table__.insert().values(**row.model_dump()))
        assert gauges.parked(tx) == {"deferred": 1, "paused": 0, "referred": 0, "review": 2}


@pytest.mark.parametrize(
    ("state", "agrees", "result"),
    [
        ("wanted", None, "pending"),
        ("asked", None, "pending"),
        ("done", True, "agrees"),
        ("done", False, "lost"),
        ("void", None, "void"),
    ],
)
def test_audits_are_counted_by_what_came_of_them(engine: Context, state: str, agrees: bool | None, result: str) -> None:
    about = {"skill": "sort", "skill_digest": "d", "tier": "cheap", "model": "m", "at": datetime.now(UTC)}
    with engine.db.writing() as tx:
        audits.want(tx, rows=[AuditRow(job="j", item=0, step="s", state=state, agrees=agrees, **about)])
        assert {name: count for name, count in gauges.audits(tx).items() if count} == {result: 1}


def test_the_crowd_is_who_lives_and_what_they_hold(engine: Context) -> None:
    beat(engine, "w1", queues=("cheap", "tools"), batches=("b1",))
    beat(engine, "w2", queues=("cheap",))
    engine.redis.zadd(engine.settings.keys.workers, {"gone": time.time() - 40})
    crowd = look(engine.redis, engine.settings.keys)
    assert crowd.by_queue == {"cheap": 2, "tools": 1}
    assert crowd.holding == {"b1"}
    assert set(crowd.silent_s) == {"w1", "w2", "gone"}
    assert crowd.silent_s["gone"] == pytest.approx(40, abs=3)
    assert not crowd.led


def test_a_tier_that_only_a_jobs_own_profile_has_is_there_while_work_for_it_is_out(engine: Context) -> None:
    job = begun(engine, 6)
    with engine.db.reading() as tx:
        found = loads(engine, tx, crowd=Crowd(), profile=None)
    assert set(found) == {"cheap"}
    assert (found["cheap"].queued, found["cheap"].wanted_workers) == (6, 1)
    assert PROFILE.tier("cheap").concurrency == 8
    work(engine, job)


def test_what_is_judged_is_counted_once_however_often_it_is_delivered(engine: Context) -> None:
    job = begun(engine, 4)
    work(engine, job, lambda item, todo: Escalate(reason="r") if item == 0 and todo.n == 0 else None)
    engine.tally.flush(engine.redis, engine.settings.keys)
    counts = counters.read(engine.redis, engine.settings.keys)
    assert counts["verdicts", "cheap", "accept"] == 3
    assert counts["verdicts", "cheap", "escalate"] == 1
    assert counts["verdicts", "frontier", "accept"] == 1
    spent = sum(amount for (name, *_), amount in counts.items() if name == "cost_usd")
    assert spent == pytest.approx(5 * PRICE_USD)


def test_a_snapshot_reads_no_large_table_from_end_to_end(engine: Context) -> None:
    begun(engine, 12)
    asked: list[tuple[str, object]] = []

    def listen(_connection, _cursor, statement, parameters, _context, _many) -> None:
        asked.append((statement, parameters))

    event.listen(engine.db.engine, "before_cursor_execute", listen)
    snapshot = Lookout(lambda: engine, lambda: PROFILE).look()
    event.remove(engine.db.engine, "before_cursor_execute", listen)
    assert snapshot.sql is not None
    assert snapshot.sql.loads["cheap"].queued == 12
    assert len(asked) < 12
    if not engine.db.is_sqlite:
        return
    plans = []
    with engine.db.reading() as tx:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                plans += [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert [plan for plan in plans for table in LARGE if plan.startswith(f"SCAN {table}")] == []


def test_many_who_ask_at_once_are_served_by_one_snapshot(engine: Context) -> None:
    lookout = Lookout(lambda: engine, lambda: PROFILE)
    first = lookout.look()
    submitted(1)
    assert lookout.look() is first


def test_a_database_that_is_away_leaves_what_redis_knows(engine: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from firstline.schemas.errors import InfrastructureError

    def refuse(tx: object) -> None:
        raise InfrastructureError("away")

    monkeypatch.setattr(gauges, "jobs_by_state", refuse)
    snapshot = Lookout(lambda: engine, lambda: PROFILE).look()
    assert snapshot.sql is None
    assert snapshot.redis is not None
    assert snapshot.redis.messages == {"cheap": 0, "frontier": 0, "orchestrator": 0}


def _trail_of(latency_s: float) -> Trail:
    attempt = Attempt(item=0, step="s0", n=0, tier="cheap", model="m", started_at=NOON, latency_s=latency_s)
    items = (ItemTrail(item=0, attempts=(attempt,)),)
    return Trail(batch="b", job="j", segment=0, shard=0, tier="cheap", worker="w", items=items)
