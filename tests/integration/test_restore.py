"""A backup taken in mid job and restored beside an empty Redis: the job goes on and pays for what is missing."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from firstline.config.settings import get_settings
from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.service.sweep import Rescue
from firstline.orchestrator.store.tables import AttemptRow, SubtaskRow
from firstline.schemas.job import JobState
from tests.integration.jobs import PRICE_USD, age, answered, begun, flying, money, queued, rows, work
from tests.servers import Missing, Postgres

ITEMS, STEPS = 45, 2


@pytest.fixture
def restored(engine: Context, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    """The engine after its job was half done, backed up and gone on with, on the backup and beside an empty Redis."""
    job = begun(engine, ITEMS, steps=STEPS)
    _judge_half(engine, job)
    name = f"r{secrets.token_hex(6)}"
    try:
        url = postgres.copy(engine.settings.database_url.rpartition("/")[2], name)
    except Missing as missing:
        pytest.skip(f"not installed: {missing}")
    # What is answered after the backup is lost with the database.
    _judge_half(engine, job)
    monkeypatch.setenv("FIRSTLINE_DATABASE_URL", url)
    monkeypatch.setenv("FIRSTLINE_NAMESPACE", f"t{secrets.token_hex(6)}")
    get_settings.cache_clear()
    restored = Context(get_settings())
    yield restored
    restored.db.close()
    restored.redis.close()
    api.engine().db.close()


def _judge_half(engine: Context, job: str) -> None:
    out = flying(engine, job)
    for batch in out[: len(out) // 2]:
        settle_trail(engine, answered(batch, began=datetime.now(UTC)))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_backup_goes_on_beside_an_empty_redis_and_pays_for_what_is_missing(restored: Context) -> None:
    (job,) = {row["job"] for row in rows(restored, SubtaskRow)}
    kept = {(row["item"], row["step"]) for row in rows(restored, SubtaskRow, state="settled")}
    paid = len(rows(restored, AttemptRow))
    assert 0 < paid == len(kept) < ITEMS * STEPS
    age(restored, job)
    rescue = Rescue(restored)
    for _ in range(4):
        rescue.sweep()
    assert queued(restored, "cheap") == len(flying(restored, job)) > 0
    asked: list[tuple[int, str]] = []

    def note(item: int, todo: object) -> None:
        asked.append((item, todo.step))

    work(restored, job, note)
    assert kept.isdisjoint(asked)
    assert sorted(asked) == sorted({(item, f"s{n}") for item in range(ITEMS) for n in range(STEPS)} - kept)
    assert api.status(job).state is JobState.DONE
    assert money(restored, job) == (ITEMS * STEPS, pytest.approx(ITEMS * STEPS * PRICE_USD))
