"""Paid answers are waited for as far as they were kept, not as far as a busy worker goes on keeping."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import fakeredis
import pytest
from redis.exceptions import OutOfMemoryError

from firstline.config.shared_state.keys import Keys
from firstline.workers.durability import paid_answers
from firstline.workers.durability.paid_answers import PaidAnswer, PaidAnswers
from firstline.workers.loop.background import Background
from firstline.workers.providers.gateway import Reply

KEPT = PaidAnswer(datetime(2026, 11, 28, tzinfo=UTC), Reply(text="yes"))


class SlowRedis(fakeredis.FakeAsyncRedis):
    """Lets one round trip through for each `turns.release()`."""

    def __init__(self) -> None:
        super().__init__(decode_responses=True)
        self.turns = asyncio.Semaphore(0)
        self.trips = 0

    def pipeline(self, *args, **kwargs):
        pipe = super().pipeline(*args, **kwargs)
        execute: Callable[[], Awaitable[list[object]]] = pipe.execute

        async def slowly() -> list[object]:
            self.trips += 1
            await self.turns.acquire()
            return await execute()

        pipe.execute = slowly
        return pipe


async def settled(*tasks: asyncio.Task[None]) -> list[bool]:
    await asyncio.sleep(0.05)
    return [task.done() for task in tasks]


def test_what_is_kept_while_one_waits_is_not_waited_for():
    async def scene() -> None:
        client = SlowRedis()
        paid = PaidAnswers(client, Keys("t"))

        def keep(batch: str) -> asyncio.Task[None]:
            paid.keep(batch=batch, item=1, step="s", n=1, kept=KEPT)
            return asyncio.create_task(paid.written())

        first = keep("b1")
        await settled(first)
        # These come while the first is on its way, and share the next trip.
        second, third = keep("b2"), keep("b3")
        assert await settled(first, second, third) == [False, False, False]
        client.turns.release()
        assert await settled(first, second, third) == [True, False, False]
        fourth = keep("b4")
        client.turns.release()
        assert await settled(second, third, fourth) == [True, True, False]
        client.turns.release()
        assert await settled(fourth) == [True]
        assert client.trips == 3
        assert [list(await paid.of(f"b{n}")) for n in (1, 2, 3, 4)] == [["1:s:1"]] * 4

    asyncio.run(scene())


def test_nothing_kept_is_nothing_to_wait_for():
    async def scene() -> None:
        await PaidAnswers(SlowRedis(), Keys("t")).written()

    asyncio.run(scene())


def test_an_answer_that_could_not_be_written_holds_up_no_later_one(caplog: pytest.LogCaptureFixture):
    async def scene() -> None:
        server = fakeredis.FakeServer()
        client = fakeredis.FakeAsyncRedis(server=server, decode_responses=True)
        paid = PaidAnswers(client, Keys("t"))
        server.connected = False
        paid.keep(batch="b1", item=1, step="s", n=1, kept=KEPT)
        await paid.written()
        assert "paid_answers.unwritten" in caplog.text
        server.connected = True
        paid.keep(batch="b2", item=1, step="s", n=1, kept=KEPT)
        await paid.written()
        assert list(await paid.of("b2")) == ["1:s:1"]

    asyncio.run(scene())


def test_work_in_the_background_is_waited_for_as_far_as_it_was_begun():
    async def scene() -> None:
        background, gate = Background(), asyncio.Event()

        async def nothing() -> None:
            pass

        async def wait() -> None:
            await gate.wait()

        background.do(nothing())
        done = asyncio.create_task(background.done())
        await asyncio.sleep(0)
        background.do(wait())
        assert await settled(done) == [True]
        gate.set()
        await background.done()

    asyncio.run(scene())


def test_what_redis_refused_is_written_once_it_takes_writes(monkeypatch):
    monkeypatch.setattr(paid_answers, "AGAIN_S", 0.05)

    class Refusing(fakeredis.FakeAsyncRedis):
        refuses = True

        def pipeline(self, *args, **kwargs):
            if self.refuses:
                raise OutOfMemoryError("full")
            return super().pipeline(*args, **kwargs)

    async def scene() -> None:
        client = Refusing(decode_responses=True)
        paid = PaidAnswers(client, Keys("t"))
        for n in (1, 2):
            paid.keep(batch="b", item=n, step="s", n=1, kept=KEPT)
            await paid.written()
        assert await paid.of("b") == {}
        client.refuses = False
        await asyncio.sleep(0.15)
        assert await paid.of("b") == {"1:s:1": KEPT, "2:s:1": KEPT}

    asyncio.run(scene())
