"""A lease is one holder's as long as it lives, and nobody's soon after."""

import asyncio

import fakeredis

from firstline.workers.durability.leases import lease


def client() -> "fakeredis.FakeAsyncRedis":
    return fakeredis.FakeAsyncRedis(decode_responses=True)


def test_only_one_holds_a_lease_and_the_next_one_when_it_is_done() -> None:
    async def scene() -> None:
        redis = client()
        async with lease(redis, "l") as first:
            assert first is not None
            async with lease(redis, "l") as second:
                assert second is None
        async with lease(redis, "l") as third:
            assert third is not None

    asyncio.run(scene())


def test_a_lease_outlasts_its_time_while_its_holder_lives() -> None:
    async def scene() -> None:
        redis = client()
        async with lease(redis, "l", seconds=0.3) as mine:
            await asyncio.sleep(0.8)
            assert mine is not None
            assert mine.is_held
            async with lease(redis, "l") as other:
                assert other is None

    asyncio.run(scene())


def test_who_has_lost_a_lease_knows_it_and_does_not_take_it_from_its_new_holder() -> None:
    async def scene() -> None:
        redis = client()
        async with lease(redis, "l", seconds=0.3) as mine:
            await redis.set("l", "another")
            await asyncio.sleep(0.3)
            assert mine is not None
            assert not mine.is_held
        assert await redis.get("l") == "another"

    asyncio.run(scene())
