"""A batch that was answered keeps its worker's slot until Redis takes word of it."""

import asyncio

import fakeredis
import pytest
from redis.exceptions import ReadOnlyError

from firstline.config.shared_state.keys import Keys
from firstline.workers.durability import claims

KEYS = Keys("t")


class Refusing(fakeredis.FakeAsyncRedis):
    """Refuses so many commands."""

    refusals = 2

    async def eval(self, *args, **kwargs):
        self.refusals -= 1
        if self.refusals >= 0:
            raise ReadOnlyError("read-only")
        return await self.set(KEYS.claim("b"), claims.ANSWERED)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(claims, "AGAIN_S", 0.01)


def handed_on(client: Refusing, **how: object) -> bool:
    async def scene() -> bool:
        await claims.hand_on(client, KEYS, batch="b", **how)
        return await client.get(KEYS.claim("b")) is not None

    return asyncio.run(scene())


def test_a_redis_that_refuses_is_waited_for():
    assert handed_on(Refusing())


def test_a_worker_that_stops_waits_no_longer():
    client = Refusing()
    assert not handed_on(client, waits=lambda: False)
    assert client.refusals == 1


def test_nobody_is_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(claims, "WAITED_S", 0.03)
    client = Refusing()
    client.refusals = 100
    assert not handed_on(client)
    assert client.refusals > 90


def test_a_batch_is_claimed_when_redis_is_there_again():
    async def claimed(client: Refusing, **how: object) -> str:
        return await claims.claim(client, KEYS, batch="b", job="j", worker="w", **how)

    class Claiming(Refusing):
        async def eval(self, *args, **kwargs):
            await super().eval(*args, **kwargs)
            return "taken"

    assert asyncio.run(claimed(Claiming())) is claims.Claim.TAKEN
    with pytest.raises(ReadOnlyError):
        asyncio.run(claimed(Claiming(), waits=lambda: False))
