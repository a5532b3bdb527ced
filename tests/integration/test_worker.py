"""A worker's dealings with Redis: who holds a batch, what it was answered already, what happens when it stops."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import redis

from firstline.config.settings import Settings
from firstline.config.shared_state.keys import Keys
from firstline.config.shared_state.redis import connect, connect_async
from firstline.schemas.batch import Batch, Trail
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.durability.claims import ANSWERED, JUDGED, LOST, Claim, claim, hand_on
from firstline.workers.durability.paid_answers import PaidAnswers
from firstline.workers.heartbeat import Heart
from firstline.workers.limits.gate import Gate
from firstline.workers.loop.event_loop import Loop
from firstline.workers.providers.fake import say
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.tasks import attempt
from firstline.workers.worker import Worker
from tests.unit.worker_rig import A, batch, planned, simple, skill, work


class Slow:
    """A gateway whose calls take a moment."""

    def __init__(self, seconds: float = 0.05) -> None:
        self.seconds = seconds
        self.calls = 0

    async def call(self, call: Call, /) -> Reply:
        del call
        self.calls += 1
        await asyncio.sleep(self.seconds)
        return say(A)


class Process:
    """A worker process but for Celery."""

    def __init__(self, url: str, keys: Keys, gateway: Slow, *, name: str) -> None:
        self.loop = Loop()

        async def make() -> Worker:
            client = connect_async(url)
            gate = Gate(client=client, keys=keys)
            return Worker(
                name=name, gateway=gateway, client=client, keys=keys, paid=PaidAnswers(client, keys), gate=gate
            )

        self.worker = self.loop.run(make())
        settings = Settings(redis_url=url, namespace=keys.namespace)
        self.heart = Heart(worker=self.worker, loop=self.loop, settings=settings, queues=("cheap",), threads=2)

    def begin(self, batch: Batch) -> "asyncio.Future[str | None]":
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(1).submit(attempt, self, batch.model_dump_json())  # type: ignore[return-value]


@pytest.fixture
def keys() -> Keys:
    return Keys(f"t{secrets.token_hex(6)}")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as one:
        yield one


@pytest.fixture
def process(redis_url: str, keys: Keys) -> Callable[..., Process]:
    return lambda gateway, name="w1": Process(redis_url, keys, gateway, name=name)


def on(redis_url: str, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with connect_async(redis_url) as client:
            return await ask(client)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("held_by", "is_alive", "said"),
    [
        pytest.param(None, False, Claim.TAKEN, id="nobody"),
        pytest.param("w2", True, Claim.HELD, id="a live worker"),
        pytest.param("w2", False, Claim.RESUMED, id="a dead worker"),
        pytest.param("w1", True, Claim.RESUMED, id="itself"),
        pytest.param(LOST, False, Claim.RESUMED, id="given up by the sweep"),
        pytest.param(f"{ANSWERED}5", False, Claim.RESUMED, id="answered, and the trail was lost"),
        pytest.param(JUDGED, False, Claim.JUDGED, id="judged"),
    ],
)
def test_a_batch_is_claimed_unless_a_live_worker_has_it(
    redis_url: str, client: redis.Redis, keys: Keys, held_by: str | None, is_alive: bool, said: Claim
) -> None:
    if held_by is not None:
        client.set(keys.claim("b"), held_by)
    if is_alive:
        client.set(keys.heartbeat(str(held_by)), "{}")
    assert on(redis_url, lambda one: claim(one, keys, batch="b", job="j", worker="w1")) is said


def test_a_batch_of_a_cancelled_job_is_claimed_as_such(redis_url: str, client: redis.Redis, keys: Keys) -> None:
    client.set(keys.cancel("j"), "1")
    assert on(redis_url, lambda one: claim(one, keys, batch="b", job="j", worker="w1")) is Claim.CANCELLED


def test_a_late_answer_does_not_make_a_judged_batch_look_unjudged(
    redis_url: str, client: redis.Redis, keys: Keys
) -> None:
    client.set(keys.claim("b"), JUDGED)
    on(redis_url, lambda one: hand_on(one, keys, batch="b"))
    assert client.get(keys.claim("b")) == JUDGED


def test_two_deliveries_at_once_in_one_process_are_answered_once(process: Callable[..., Process]) -> None:
    gateway = Slow()
    one = process(gateway)
    first, second = one.begin(simple("x")), one.begin(simple("x"))
    assert sorted([first.result(), second.result()], key=bool)[0] is None  # type: ignore[type-var]
    assert gateway.calls == 1


def test_a_delivery_after_the_answer_brings_the_same_trail_and_calls_nobody(process: Callable[..., Process]) -> None:
    gateway = Slow()
    one = process(gateway)
    first = one.begin(simple("x")).result()
    assert one.begin(simple("x")).result() == first
    assert gateway.calls == 1


def test_what_a_dead_worker_paid_for_is_not_paid_again(process: Callable[..., Process]) -> None:
    gateway = Slow()
    first = Trail.model_validate_json(str(process(gateway).begin(simple("x")).result()))
    again = Trail.model_validate_json(str(process(gateway, "w2").begin(simple("x")).result()))
    assert gateway.calls == 1
    assert again.items[0].attempts[0].started_at == first.items[0].attempts[0].started_at


def test_a_stopping_worker_ends_running_calls_and_hands_back_the_rest(process: Callable[..., Process]) -> None:
    gateway = Slow(0.3)
    one = process(gateway)
    running = one.begin(simple("x"))
    while not gateway.calls:
        pass
    one.heart.hand_back()
    trail = Trail.model_validate_json(str(running.result()))
    assert trail.items[0].settled
    refused = Trail.model_validate_json(str(one.begin(simple("y", id="b2")).result()))
    (left,) = refused.items[0].left
    assert isinstance(left.verdict, Defer)
    assert left.verdict.cause is DeferCause.STOPPING
    assert gateway.calls == 1


def test_running_calls_of_a_cancelled_job_end_and_stand_on_record(
    process: Callable[..., Process], client: redis.Redis, keys: Keys
) -> None:
    gateway = Slow(60)
    one = process(gateway)
    running = one.begin(simple("x"))
    while not gateway.calls:
        pass
    client.set(keys.cancel("j1"), "1")
    one.heart.sign(client)
    trail = Trail.model_validate_json(str(running.result(10)))  # type: ignore[call-arg]
    (item,) = trail.items
    assert [attempt.verdict for attempt in item.attempts] == ["cancelled"]
    assert item.attempts[0].cost_usd is None
    assert isinstance(item.left[0].verdict, Defer)
    assert item.left[0].n == 1


def test_a_wiped_redis_is_told_again_who_holds_what(
    process: Callable[..., Process], client: redis.Redis, keys: Keys
) -> None:
    gateway = Slow(0.5)
    one = process(gateway)
    running = one.begin(simple("x"))
    while not gateway.calls:
        pass
    client.delete(keys.claim("b1"))
    one.heart.sign(client)
    assert client.get(keys.claim("b1")) == "w1"
    assert client.exists(keys.heartbeat("w1"))
    running.result()


def test_a_worker_that_slept_makes_no_more_calls_for_what_another_was_given(
    process: Callable[..., Process], client: redis.Redis, keys: Keys
) -> None:
    gateway = Slow(0.3)
    one = process(gateway)
    one.worker.dead_after_s, one.worker.beat_at = 0.5, time.monotonic()
    sort = skill()
    steps = [planned("s", sort), planned("t", sort, after=("s",))]
    answer = one.begin(batch(steps, [sort], work("x")))
    while not gateway.calls:
        time.sleep(0.01)
    # As after a sleep: time has passed, and the heart has not beaten yet.
    one.worker.beat_at -= 60
    client.set(keys.claim("b1"), "w2")
    time.sleep(0.6)
    one.heart.sign(client)
    one.worker.beat_at = time.monotonic()
    time.sleep(0.4)
    assert gateway.calls == 1
    assert not answer.done()
    assert client.get(keys.claim("b1")) == "w2"
    assert one.worker.batches == (), "the sweep sees who holds it, and it may come here again"
    client.set(keys.claim("b1"), JUDGED)
    trail = Trail.model_validate_json(str(answer.result(timeout=10)))
    assert len(trail.items[0].attempts) == 1


def test_a_message_that_newer_code_wrote_is_left_to_others(process: Callable[..., Process]) -> None:
    message = simple("x").evolve(v=99).model_dump_json()[:-1] + ',"novelty":true}'
    assert attempt(process(Slow()), message) is None
