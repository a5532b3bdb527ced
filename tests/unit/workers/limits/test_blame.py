"""Whose fault it is: what strikes one item is that item's, and a call of our own proves a model."""

import asyncio
from datetime import datetime

import fakeredis
import pytest

from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model, Tier
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.execution.attempt_state import AttemptState
from firstline.workers.execution.model_choice import count_round
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.limits.gate import Gate
from firstline.workers.limits.permit import Permit
from firstline.workers.providers.gateway import Call, Reply

MODEL = Model(name="openai/small")
TIER = Tier(name="economy", models=(MODEL,))
FLAGGED, GOOD = Struck("a", "j1", "7:s"), Struck("a", "j2", "1:s")
WELL = Reply(text="ready")
KINDS = [ErrorKind.AUTH, ErrorKind.NOT_FOUND, ErrorKind.BAD_REQUEST, ErrorKind.SERVER, ErrorKind.TIMEOUT]


class House:
    """One worker's gate with a clock, and a provider that answers probes."""

    def __init__(self, probed: Reply = WELL) -> None:
        self.now = 1_000.0
        self.probes: list[Call] = []
        self.probed = probed
        self.heard: list[Reply] = []
        client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), decode_responses=True)
        self.gate = Gate(client=client, keys=Keys("test"), clock=lambda: self.now, prove=self.prove)

    async def prove(self, call: Call) -> Reply:
        self.probes.append(call)
        return self.probed

    async def enter(self) -> Permit | Defer:
        return await self.gate.enter(tier=TIER, model=MODEL, probed=self.hear)

    def hear(self, started_at: datetime, reply: Reply) -> None:
        self.heard.append(reply)

    async def fault(self, kind: ErrorKind, who: Struck, times: int = 1, retry_after_s: float | None = None) -> None:
        for _ in range(times):
            self.gate.fault(TIER, MODEL, Reply(error=kind, detail="no", retry_after_s=retry_after_s), who)
        await self.gate.close()


def line(kind: ErrorKind, faults: int = 0) -> AttemptState:
    return AttemptState("s", n=0, used=0, feedback=(), effort=None, faults=faults, avoid={MODEL.name: kind})


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_that_fails_while_others_are_answered_switches_no_model_off(kind):
    async def scenario() -> None:
        house = House()
        for _ in range(20):
            await house.fault(kind, FLAGGED)
            house.gate.success(TIER, MODEL)
        assert house.gate.pick(TIER) == MODEL
        assert house.gate.is_its_own(MODEL, FLAGGED, kind)
        assert not house.gate.is_its_own(MODEL, GOOD, kind)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS)
def test_where_one_item_alone_fails_a_call_of_our_own_decides_soon(kind):
    async def scenario() -> None:
        house = House()
        await house.fault(kind, FLAGGED, times=8)
        assert isinstance(house.gate.pick(TIER), Defer)
        house.now += 1.1
        permit = await house.enter()
        assert isinstance(permit, Permit)
        assert len(house.probes) == 1
        assert house.heard == [WELL]
        assert "7:s" not in str(house.probes[0].messages)
        await house.fault(kind, FLAGGED, times=8)
        assert house.gate.pick(TIER) == MODEL

    asyncio.run(scenario())


def test_a_probe_that_fails_leaves_the_model_alone_for_longer():
    async def scenario() -> None:
        house = House(Reply(error=ErrorKind.AUTH, detail="no key"))
        await house.fault(ErrorKind.AUTH, FLAGGED, times=3)
        house.now += 1.1
        said = await house.enter()
        assert isinstance(said, Defer)
        assert said.cause is DeferCause.NO_MODEL
        await house.gate.close()
        waits = house.gate.pick(TIER)
        assert isinstance(waits, Defer)
        assert waits.wait_s >= 30

    asyncio.run(scenario())


def test_faults_on_several_items_stop_a_model_for_its_time():
    async def scenario() -> None:
        house = House()
        for n in range(3):
            await house.fault(ErrorKind.SERVER, Struck("a", "j1", f"{n}:s"))
        waits = house.gate.pick(TIER)
        assert isinstance(waits, Defer)
        assert waits.wait_s == pytest.approx(TIER.cooldown_s)

    asyncio.run(scenario())


def test_a_jobs_own_parameters_stop_no_other_job():
    async def scenario() -> None:
        house = House()
        for n in range(40):
            await house.fault(ErrorKind.BAD_REQUEST, Struck("a", "j1", f"{n}:s"))
            house.gate.success(TIER, MODEL)
        assert house.gate.pick(TIER) == MODEL
        assert house.gate.is_its_own(MODEL, Struck("a", "j1", "99:s"), ErrorKind.BAD_REQUEST)
        assert not house.gate.is_its_own(MODEL, GOOD, ErrorKind.BAD_REQUEST)

    asyncio.run(scenario())


def test_no_number_of_jobs_of_one_tenant_stops_a_model_for_its_time():
    async def scenario(*tenants: str) -> float:
        house = House()
        for n in range(12):
            await house.fault(ErrorKind.BAD_REQUEST, Struck(tenants[n % len(tenants)], f"j{n}", "1:s"))
        waits = house.gate.pick(TIER)
        assert isinstance(waits, Defer)
        return waits.wait_s

    # A call of our own, which has none of its parameters, proves the model at once.
    assert asyncio.run(scenario("b")) <= 1
    assert asyncio.run(scenario("b", "c")) >= 30


def test_a_server_that_says_when_to_come_back_is_believed_at_once():
    async def scenario() -> None:
        house = House()
        await house.fault(ErrorKind.SERVER, GOOD, retry_after_s=7.0)
        waits = house.gate.pick(TIER)
        assert isinstance(waits, Defer)
        assert waits.wait_s == pytest.approx(7.0)

    asyncio.run(scenario())


def test_who_asks_while_a_model_is_proven_comes_back_soon_after():
    async def scenario() -> None:
        house, proven = House(), asyncio.Event()

        async def slow(call: Call) -> Reply:
            await proven.wait()
            return WELL

        house.gate._prove = slow
        await house.fault(ErrorKind.AUTH, FLAGGED, times=3)
        house.now += 1.1
        first = asyncio.create_task(house.enter())
        await asyncio.sleep(0.05)
        waits = house.gate.pick(TIER)
        assert isinstance(waits, Defer)
        assert waits.wait_s <= 1
        proven.set()
        assert isinstance(await first, Permit)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [*KINDS, ErrorKind.RATE, ErrorKind.QUOTA, ErrorKind.CONNECTION])
def test_what_only_one_item_meets_is_its_fault_in_the_end_whatever_it_is(kind):
    async def scenario() -> None:
        house, state, rounds = House(), line(kind), 0
        while not count_round(house.gate, TIER, state, FLAGGED):
            rounds += 1
            assert rounds < 20
            await house.fault(kind, FLAGGED)
            house.gate.success(TIER, MODEL)
        assert rounds >= 2

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.QUOTA, ErrorKind.RATE, ErrorKind.CONNECTION])
def test_what_everybody_meets_is_held_against_no_item(kind):
    async def scenario() -> None:
        house, state = House(), line(kind)
        for n in range(30):
            await house.fault(kind, Struck("a", "j1", f"{n}:s"))
            assert not count_round(house.gate, TIER, state, Struck("a", "j1", "0:s"))
        assert state.faults == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [ErrorKind.NOT_FOUND, ErrorKind.BAD_REQUEST])
@pytest.mark.parametrize("kind", [ErrorKind.SERVER, ErrorKind.AUTH])
def test_a_provider_that_does_not_take_the_probe_is_there_all_the_same(kind, said):
    async def scenario() -> None:
        house = House(Reply(error=said, detail="no play fits"))
        for n in range(4):
            await house.fault(kind, Struck("a", "j1", f"{n}:s"))
        house.now += 61
        assert isinstance(await house.enter(), Permit)

    asyncio.run(scenario())


def test_a_model_that_nobody_finds_is_not_proven_by_a_probe_that_does_not_find_it():
    async def scenario() -> None:
        house = House(Reply(error=ErrorKind.NOT_FOUND, detail="no such model"))
        for n in range(4):
            await house.fault(ErrorKind.NOT_FOUND, Struck("a", "j1", f"{n}:s"))
        house.now += 61
        assert isinstance(await house.enter(), Defer)

    asyncio.run(scenario())
