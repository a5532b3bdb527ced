"""Turns of calls that share a prefix: one writes it, all others wait for it and read, over all workers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import fakeredis

from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import CacheMarks, Model, Price, PromptCache
from firstline.workers.limits.prefixes import Prefixes
from firstline.workers.providers.gateway import Call, Reply

SYSTEM = {"role": "system", "content": "word " * 2000}
PRICE = Price(input=1, cached_input=0.1, cache_write=1.25, output=5)
CACHE = PromptCache(marks=CacheMarks.CACHE_CONTROL, min_tokens=1024)
MODEL = Model(name="openai/m", price=PRICE, prompt_cache=CACHE)


@dataclass
class Provider:
    """Writes a marked prefix unless one was answered before, and answers after a moment."""

    answer_s: float = 0.02
    fails_first: bool = False
    kept: bool = False
    keeps: bool = True
    said: list[str] = field(default_factory=list)

    async def ask(self, call: Call) -> Reply | None:
        found = self.kept
        await asyncio.sleep(self.answer_s)
        if self.fails_first:
            self.fails_first = False
            self.said.append("failed")
            return None
        self.kept = self.kept or (self.keeps and call.cached is True)
        self.said.append("plain" if not call.cached else "read" if found else "written")
        tokens = {"cached_tokens": 2000} if found else {"cache_write_tokens": 2000} if self.keeps else {}
        return Reply(usage=Usage(input_tokens=2100, output_tokens=5, **(tokens if call.cached else {})))


def question(n: int, model: Model = MODEL) -> Call:
    return Call(model, (SYSTEM, {"role": "user", "content": f"item {n}"}), static=1)


async def made(prefixes: Prefixes, provider: Provider, n: int, expected: int, model: Model = MODEL) -> None:
    async with prefixes.turn(question(n, model), expected=expected) as turn:
        turn.reply = await provider.ask(turn.call)


class Clock:
    """The time, as a test tells it on top of the loop's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_s


def run(act: Callable[[Callable[[], Prefixes]], Awaitable[None]], clock: Clock | None = None) -> None:
    server = fakeredis.FakeServer()

    async def go() -> None:
        def worker() -> Prefixes:
            client = fakeredis.FakeAsyncRedis(server=server, decode_responses=True)
            return Prefixes(client, Keys("test"), clock or Clock())

        await act(worker)

    asyncio.run(go())


def test_of_a_fan_out_one_call_writes_and_all_others_wait_and_read() -> None:
    provider = Provider()

    async def fan_out(worker: Callable[[], Prefixes]) -> None:
        prefixes = worker()
        await asyncio.gather(*(made(prefixes, provider, n, 99) for n in range(20)))

    run(fan_out)
    assert provider.said == ["written"] + ["read"] * 19


def test_workers_wait_for_each_other() -> None:
    provider = Provider(answer_s=0.1)

    async def fan_out(worker: Callable[[], Prefixes]) -> None:
        both = [worker(), worker()]
        await asyncio.gather(*(made(both[n % 2], provider, n, 99) for n in range(10)))

    run(fan_out)
    assert provider.said == ["written"] + ["read"] * 9


def test_where_the_first_brings_nothing_the_next_one_writes() -> None:
    provider = Provider(fails_first=True)

    async def fan_out(worker: Callable[[], Prefixes]) -> None:
        prefixes = worker()
        await asyncio.gather(*(made(prefixes, provider, n, 99) for n in range(5)))

    run(fan_out)
    assert provider.said == ["failed", "written", "read", "read", "read"]


def test_a_prefix_that_the_provider_does_not_keep_is_marked_once_and_waited_for_once() -> None:
    provider = Provider(keeps=False)

    async def fan_out(worker: Callable[[], Prefixes]) -> None:
        prefixes = worker()
        await asyncio.gather(*(made(prefixes, provider, n, 99) for n in range(20)))

    run(fan_out)
    assert provider.said == ["written"] + ["plain"] * 19


def test_a_call_that_nobody_follows_is_not_marked() -> None:
    provider = Provider()

    async def alone(worker: Callable[[], Prefixes]) -> None:
        await made(worker(), provider, 0, expected=0)

    run(alone)
    assert provider.said == ["plain"]


def test_a_prefix_that_dies_unread_is_not_written_again_until_calls_come_often_enough() -> None:
    provider, clock = Provider(answer_s=0.0), Clock()

    async def trickle(worker: Callable[[], Prefixes]) -> None:
        prefixes = worker()
        # Its job says that many follow, and each comes after an hour.
        for n in range(3):
            await made(prefixes, provider, n, expected=99)
            provider.kept = False
            clock.ahead_s += 3600
            # What expires in Redis goes by its own clock.
            await prefixes.close()
            await prefixes.client.flushall()
        await made(prefixes, provider, 3, expected=0)
        clock.ahead_s += 60
        await made(prefixes, provider, 4, expected=0)

    run(trickle, clock)
    assert provider.said == ["written", "plain", "plain", "plain", "written"]


def test_what_works_by_itself_is_left_alone_and_nobody_waits() -> None:
    model, seen = MODEL.evolve(prompt_cache=PromptCache()), list[bool | None]()

    async def one(worker: Callable[[], Prefixes]) -> None:
        async with worker().turn(question(0, model), expected=99) as turn:
            seen.append(turn.call.cached)

    run(one)
    assert seen == [None]
