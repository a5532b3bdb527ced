"""The gate on a pretended Redis: who may call, when, and for how much money."""

import asyncio
import time
from itertools import pairwise

import fakeredis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from firstline.config.shared_state.budget_counters import Money, forget, raise_cap, read, seed
from firstline.config.shared_state.keys import Keys
from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.batch import BudgetCap
from firstline.schemas.tier import Limits, Model, Tier
from firstline.schemas.verdict import Defer, DeferCause
from firstline.workers.limits.gate import Gate
from firstline.workers.limits.permit import Permit, used
from firstline.workers.limits.reservations import LEASE_S, LONGEST_WAIT_S
from firstline.workers.providers.billing import free
from firstline.workers.providers.endpoint import endpoint
from firstline.workers.providers.gateway import Reply

KEYS = Keys("test")
GOOD = Reply(text="yes", usage=Usage(input_tokens=80, output_tokens=20), cost_usd=0.01)
BUDGET = BudgetCap(key="job:1", cap_usd=1.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class House:
    """A Redis with a clock, and as many gates (one a worker process) as a test likes."""

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer()
        self.clock = Clock()
        self.sync = fakeredis.FakeRedis(server=self.server, decode_responses=True)

    def gate(self) -> Gate:
        client = fakeredis.FakeAsyncRedis(server=self.server, decode_responses=True)
        return Gate(client=client, keys=KEYS, clock=self.clock)

    def money(self, key: str = BUDGET.key) -> Money:
        money = read(self.sync, KEYS, key)
        assert money is not None
        return money


@pytest.fixture
def house() -> House:
    return House()


def tier_of(*models: Model, cooldown_s: float = 15.0) -> Tier:
    return Tier(name="economy", models=models, cooldown_s=cooldown_s)


def model_of(name: str = "openai/small", **limits: float) -> Model:
    return Model(name=name, limits=Limits.model_validate(limits))


def failed(kind: ErrorKind, retry_after_s: float | None = None) -> Reply:
    return Reply(error=kind, detail="no", retry_after_s=retry_after_s)


async def admitted(
    gate: Gate, model: Model, *caps: BudgetCap, tokens: int = 100, cost_usd: float | None = 0.1
) -> Permit:
    permit = await gate.enter(tier=tier_of(model), model=model, caps=caps, tokens=tokens, cost_usd=cost_usd)
    assert isinstance(permit, Permit), permit
    return permit


async def refused(gate: Gate, model: Model, *caps: BudgetCap, tokens: int = 100, cost_usd: float | None = 0.1) -> Defer:
    said = await gate.enter(tier=tier_of(model), model=model, caps=caps, tokens=tokens, cost_usd=cost_usd)
    assert isinstance(said, Defer), said
    return said


async def fail_often(gate: Gate, tier: Tier, model: Model, kind: ErrorKind, times: int = 6) -> None:
    for _ in range(times):
        gate.fault(tier, model, failed(kind))
    await gate.close()


# -- no limits, no budget -------------------------------------------------------------------------------------------


async def _without_redis() -> None:
    class Unreachable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"Redis was asked for {name}")

    gate = Gate(client=Unreachable(), keys=KEYS)  # type: ignore[arg-type]
    tier = tier_of(Model(name="local/free"))
    model = gate.pick(tier)
    assert isinstance(model, Model)
    permit = await admitted(gate, model)
    await gate.leave(permit, reply=GOOD)
    gate.success(tier, model)


def test_a_call_without_limits_and_budgets_says_no_word_to_redis() -> None:
    asyncio.run(_without_redis())


# -- pace -----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests_per_minute=st.sampled_from([3.0, 10.0, 45.0, 60.0, 600.0]),
    tokens_per_minute=st.sampled_from([None, 2_000.0, 60_000.0]),
    steps=st.lists(
        st.tuples(st.sampled_from([0.0, 0.05, 0.4, 1.0, 7.0, 31.0]), st.integers(1, 900)), min_size=20, max_size=90
    ),
)
def test_no_minute_ever_sees_more_than_the_allowance(
    requests_per_minute: float, tokens_per_minute: float | None, steps: list[tuple[float, int]]
) -> None:
    house = House()
    model = model_of(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
    starts = asyncio.run(_starts(house, model, steps))
    largest = max(tokens for _, tokens in steps)
    for at, _ in starts:
        minute = [tokens for start, tokens in starts if at <= start < at + 60]
        assert len(minute) <= requests_per_minute
        if tokens_per_minute is not None:
            assert sum(minute) <= tokens_per_minute + largest


async def _starts(house: House, model: Model, steps: list[tuple[float, int]]) -> list[tuple[float, int]]:
    reservations = house.gate()._reservations
    starts = []
    for number, (gap_s, tokens) in enumerate(steps):
        house.clock.now += gap_s
        said = await reservations.take(Permit(f"p{number}", model, tokens=tokens))
        if said[0] == "granted":
            starts.append((house.clock.now + float(said[1]), tokens))
    return starts


@pytest.mark.parametrize(
    ("limits", "tokens", "expected"),
    [
        pytest.param({"requests_per_minute": 600.0}, 1, 588, id="requests"),
        pytest.param({"tokens_per_minute": 60_000.0}, 100, 588, id="tokens"),
        pytest.param({"tokens_per_minute": 60_000.0}, 3_000, 19, id="calls larger than a burst"),
        pytest.param({"requests_per_minute": 12.0}, 1, 11, id="few a minute"),
    ],
)
def test_who_asks_all_the_time_gets_the_allowance(
    house: House, limits: dict[str, float], tokens: int, expected: int
) -> None:
    steps = [(0.05, tokens)] * 1200
    starts = asyncio.run(_starts(house, model_of(**limits), steps))
    begin = house.clock.now - 60
    assert len([at for at, _ in starts if begin <= at < begin + 60]) == pytest.approx(
        expected, abs=max(1, expected / 50)
    )


def test_those_sent_away_are_told_to_come_back_one_after_another(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(requests_per_minute=12)
        said = [await gate._reservations.take(Permit(f"p{n}", model)) for n in range(6)]
        assert [word for word, *_ in said] == ["granted"] + ["later"] * 5
        waits = [float(wait) for _, wait in said[1:]]
        assert [later - earlier for earlier, later in pairwise(waits)] == pytest.approx([5.1] * 4, abs=0.1)

    asyncio.run(scenario())


def test_a_long_wait_is_a_defer_with_its_time(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(requests_per_minute=6)
        await admitted(gate, model)
        said = await refused(gate, model)
        assert said.cause is DeferCause.LIMIT
        assert said.wait_s == pytest.approx(60 / 6 / 0.98 - LONGEST_WAIT_S / 2, abs=0.1)
        assert "openai/small" in said.reason

    asyncio.run(scenario())


def test_tokens_that_were_not_used_are_given_back_unless_the_provider_counts_them(house: House) -> None:
    async def scenario() -> None:
        for firm, expected in ((False, "granted"), (True, "later")):
            model = model_of(f"openai/firm-{firm}", tokens_per_minute=6_000)
            gate = house.gate()
            permit = await gate.enter(tier=tier_of(model), model=model, tokens=5_000, firm=firm)
            assert isinstance(permit, Permit)
            await gate.leave(permit, reply=GOOD)
            said = await gate._reservations.take(Permit("next", model, tokens=100))
            assert said[0] == expected

    asyncio.run(scenario())


def test_tokens_used_beyond_the_estimate_slow_the_next_calls_down(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(tokens_per_minute=6_000)
        permit = await admitted(gate, model, tokens=10)
        await gate.leave(permit, reply=Reply(usage=Usage(input_tokens=2_000, output_tokens=0)))
        said = await refused(gate, model)
        assert said.cause is DeferCause.LIMIT
        assert said.wait_s > 15

    asyncio.run(scenario())


def test_a_lower_limit_in_the_headers_lowers_the_pace(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(requests_per_minute=600)
        permit = await admitted(gate, model)
        await gate.leave(permit, reply=Reply(limits={"x-ratelimit-limit-requests": "6"}))
        house.clock.now += 30
        await admitted(gate, model)
        assert (await refused(gate, model)).cause is DeferCause.LIMIT

    asyncio.run(scenario())


def test_nothing_left_by_the_headers_makes_the_next_call_wait(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(tokens_per_minute=60_000)
        permit = await admitted(gate, model, tokens=5_000)
        house.clock.now += 60
        await gate.leave(permit, reply=Reply(limits={"x-ratelimit-remaining-tokens": "0"}))
        said = await refused(gate, model, tokens=5_000)
        assert said.wait_s == pytest.approx(5_000 / 980 - LONGEST_WAIT_S / 2, abs=0.2)

    asyncio.run(scenario())


def test_calls_that_a_busy_loop_woke_too_late_go_in_their_new_turns_not_as_a_burst(house: House) -> None:
    async def scenario() -> None:
        # Redis's clock stands for real time here: turns are given by it and kept by the loop.
        client = fakeredis.FakeAsyncRedis(server=house.server, decode_responses=True)
        gate, model = Gate(client=client, keys=KEYS), model_of(requests_per_minute=600)
        starts: list[float] = []

        async def call() -> None:
            await admitted(gate, model)
            starts.append(time.monotonic())

        calls = [asyncio.create_task(call()) for _ in range(24)]
        await asyncio.sleep(0.05)
        time.sleep(1.7)
        await asyncio.gather(*calls)
        assert len(starts) == 24
        bursts = [sum(at <= other < at + 0.1 for other in starts) for at in starts]
        assert max(bursts) <= 12, "17 turns passed while the loop was held up"

    asyncio.run(scenario())


def test_two_keys_of_one_model_have_limits_of_their_own(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(requests_per_minute=1)
        await admitted(gate, model)
        await admitted(gate, model.evolve(api_key_env="OTHER_KEY"))
        assert (await refused(gate, model)).cause is DeferCause.LIMIT

    asyncio.run(scenario())


# -- calls in flight ------------------------------------------------------------------------------------------------


def test_a_place_that_is_left_goes_to_the_first_in_line(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(in_flight=1)
        first = await admitted(gate, model)
        order: list[int] = []

        async def call(number: int) -> None:
            permit = await admitted(gate, model)
            order.append(number)
            await gate.leave(permit, reply=GOOD)

        waiting = [asyncio.create_task(call(number)) for number in range(5)]
        await asyncio.sleep(0.05)
        assert order == []
        await gate.leave(first, reply=GOOD)
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_a_full_model_defers_in_the_end(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(in_flight=2)
        await admitted(gate, model)
        await admitted(house.gate(), model)
        said = await refused(gate, model)
        assert (said.cause, said.wait_s > 0) == (DeferCause.LIMIT, True)

    asyncio.run(scenario())


def test_a_dead_workers_place_is_free_after_its_lease_and_a_live_ones_is_not(house: House) -> None:
    async def scenario() -> None:
        dead, alive, model = house.gate(), house.gate(), model_of(in_flight=2)
        await admitted(dead, model)
        await admitted(alive, model)
        for _ in range(5):
            house.clock.now += LEASE_S / 4
            await alive.refresh()
        await admitted(alive, model)
        assert (await alive._reservations._reserve(Permit("more", model)))[0] == "full"

    asyncio.run(scenario())


# -- money ----------------------------------------------------------------------------------------------------------


def test_a_budget_reserves_the_estimate_and_keeps_what_was_spent(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0.25)
        permit = await admitted(gate, model, BUDGET)
        assert house.money() == Money(0.25, 0.1, 1.0)
        await gate.leave(permit, reply=GOOD)
        assert house.money() == Money(0.26, 0.0, 1.0)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("reply", "spent"),
    [
        pytest.param(GOOD, 0.01, id="known cost"),
        pytest.param(Reply(text="yes"), 0.1, id="nobody told the cost"),
        pytest.param(None, 0.1, id="cancelled: may be billed"),
        pytest.param(failed(ErrorKind.TIMEOUT), 0.1, id="timed out: may be billed"),
        pytest.param(failed(ErrorKind.SERVER), 0.1, id="broke off: may be billed"),
        pytest.param(free(failed(ErrorKind.RATE)), 0.0, id="refused"),
    ],
)
def test_what_counts_as_spent(reply: Reply | None, spent: float) -> None:
    assert used(Permit("p", model_of(), (BUDGET,), 100, 0.1), reply).cost_usd == spent


def test_all_budgets_of_a_call_must_have_room_or_none_is_touched(house: House) -> None:
    async def scenario() -> None:
        gate, model, day = house.gate(), model_of(requests_per_minute=60), BudgetCap(key="day", cap_usd=0.05)
        seed(house.sync, KEYS, BUDGET, 0)
        seed(house.sync, KEYS, day, 0)
        said = await refused(gate, model, BUDGET, day)
        assert (said.cause, said.wait_s) == (DeferCause.BUDGET, 0)
        assert "'day'" in said.reason
        assert house.money().reserved_usd == 0
        assert not house.sync.exists(KEYS.limit(endpoint(model)))

    asyncio.run(scenario())


def test_money_that_is_only_reserved_may_come_free_again(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0)
        held = [await admitted(gate, model, BUDGET, cost_usd=0.5) for _ in range(2)]
        waiting = asyncio.create_task(admitted(gate, model, BUDGET, cost_usd=0.45))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await gate.leave(held[0], reply=GOOD)
        await waiting
        said = await refused(gate, model, BUDGET, cost_usd=0.45)
        assert (said.cause, said.wait_s > 0) == (DeferCause.BUDGET, True)

    asyncio.run(scenario())


def test_a_raised_cap_lets_the_next_call_pass(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 1.0)
        assert (await refused(gate, model, BUDGET)).cause is DeferCause.BUDGET
        assert raise_cap(house.sync, KEYS, BUDGET.key, 2.0)
        await admitted(gate, model, BUDGET)

    asyncio.run(scenario())


def test_a_budget_that_redis_forgot_is_unknown_until_it_is_told_again(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        assert (await refused(gate, model, BUDGET)).cause is DeferCause.BUDGET_UNKNOWN
        assert not raise_cap(house.sync, KEYS, BUDGET.key, 2.0)
        seed(house.sync, KEYS, BUDGET, 0.2)
        await admitted(gate, model, BUDGET)
        forget(house.sync, KEYS, BUDGET.key)
        assert read(house.sync, KEYS, BUDGET.key) is None

    asyncio.run(scenario())


def test_a_call_in_flight_reserves_again_what_redis_forgot(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0)
        permit = await admitted(gate, model, BUDGET)
        house.sync.flushall()
        seed(house.sync, KEYS, BUDGET, 0)
        house.clock.now += LEASE_S / 2
        await gate.refresh()
        assert house.money() == Money(0, 0.1, 1.0)
        await gate.leave(permit, reply=GOOD)
        assert house.money() == Money(0.01, 0.0, 1.0)

    asyncio.run(scenario())


def test_seeding_again_never_forgets_what_redis_knows_beyond_sql(house: House) -> None:
    seed(house.sync, KEYS, BUDGET, 0.5)
    seed(house.sync, KEYS, BUDGET, 0.3)
    assert house.money().spent_usd == 0.5
    seed(house.sync, KEYS, BUDGET, 0.7)
    assert house.money() == Money(0.7, 0.0, 1.0)


def test_a_dead_workers_money_comes_free_and_its_late_settlement_counts_once(house: House) -> None:
    async def scenario() -> None:
        silent, alive, model = house.gate(), house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0)
        permit = await admitted(silent, model, BUDGET, cost_usd=0.9)
        house.clock.now += LEASE_S + 1
        other = await admitted(alive, model, BUDGET, cost_usd=0.9)
        assert house.money() == Money(0, 0.9, 1.0)
        for _ in range(2):
            await silent.leave(permit, reply=GOOD)
        assert house.money() == Money(0.01, 0.9, 1.0)
        await alive.leave(other, reply=GOOD)
        assert house.money() == Money(0.02, 0.0, 1.0)

    asyncio.run(scenario())


def test_a_call_of_unknown_cost_passes_until_its_budget_is_overdrawn(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 1.0)
        permit = await admitted(gate, model, BUDGET, cost_usd=None)
        await gate.leave(permit, reply=GOOD)
        assert house.money().spent_usd == 1.01
        assert (await refused(gate, model, BUDGET, cost_usd=None)).cause is DeferCause.BUDGET

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records].count("budget.unpriced_model") == 1


def test_a_call_cancelled_before_it_was_made_gives_everything_back(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of(requests_per_minute=60, in_flight=5)
        seed(house.sync, KEYS, BUDGET, 0)
        await admitted(gate, model)
        waiting = asyncio.create_task(admitted(gate, model, BUDGET))
        await asyncio.sleep(0.05)
        assert house.money().reserved_usd == 0.1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await gate.close()
        assert house.money() == Money(0, 0, 1.0)
        said = await gate._reservations.take(Permit("next", model))
        assert float(said[1]) == pytest.approx(60 / 60 / 0.98, abs=0.01)

    asyncio.run(scenario())


def test_leaving_is_done_although_the_caller_is_cancelled(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0)
        permit = await admitted(gate, model, BUDGET)
        leaving = asyncio.create_task(gate.leave(permit, reply=GOOD))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await gate.close()
        assert house.money() == Money(0.01, 0.0, 1.0)

    asyncio.run(scenario())


def test_what_redis_could_not_be_told_is_settled_later(house: House) -> None:
    async def scenario() -> None:
        gate, model = house.gate(), model_of()
        seed(house.sync, KEYS, BUDGET, 0)
        permit = await admitted(gate, model, BUDGET)
        house.server.connected = False
        await gate.leave(permit, reply=GOOD)
        said = await refused(gate, model, BUDGET)
        assert (said.cause, "Redis" in said.reason) == (DeferCause.LIMIT, True)
        await gate.refresh()
        house.server.connected = True
        await gate.refresh()
        assert house.money() == Money(0.01, 0.0, 1.0)

    asyncio.run(scenario())


# -- cool-downs -----------------------------------------------------------------------------------------------------

SMALL, SPARE = model_of(), model_of("openai/spare")


def test_the_first_model_answers_and_the_next_takes_over_when_it_fails(house: House) -> None:
    async def scenario() -> None:
        here, there, tier = house.gate(), house.gate(), tier_of(SMALL, SPARE)
        assert here.pick(tier) == there.pick(tier) == SMALL
        await fail_often(here, tier, SMALL, ErrorKind.SERVER)
        assert here.pick(tier) == SPARE
        assert there.pick(tier) == SMALL
        await there.refresh()
        assert there.pick(tier) == SPARE

    asyncio.run(scenario())


def test_what_a_subtask_avoids_is_not_picked(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL, SPARE)
        assert gate.pick(tier, avoid={SMALL.name}) == SPARE
        said = gate.pick(tier, avoid={SMALL.name, SPARE.name})
        assert isinstance(said, Defer)
        assert said.cause is DeferCause.NO_MODEL
        assert said.wait_s > 0

    asyncio.run(scenario())


def test_a_tier_without_a_model_says_which_and_why_and_when(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL, SPARE, cooldown_s=20)
        await fail_often(gate, tier, SMALL, ErrorKind.TIMEOUT)
        await fail_often(gate, tier, SPARE, ErrorKind.AUTH)
        said = gate.pick(tier)
        assert isinstance(said, Defer)
        assert said.cause is DeferCause.NO_MODEL
        assert said.wait_s == pytest.approx(20)
        assert said.reason == (
            "no model of tier 'economy' can be called now: "
            "openai/small is left alone for 20 s after calls that timed out; "
            "openai/spare is left alone for 30 s after refusing its key"
        )

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("kind", "good", "bad", "stops"),
    [
        pytest.param(ErrorKind.SERVER, 200, 1, False, id="one 500 among hundreds"),
        pytest.param(ErrorKind.SERVER, 200, 4, False, id="four 500s after hundreds"),
        pytest.param(ErrorKind.SERVER, 200, 6, True, id="an outage after hundreds"),
        pytest.param(ErrorKind.SERVER, 0, 2, False, id="two at the start"),
        pytest.param(ErrorKind.SERVER, 0, 3, True, id="three at the start"),
        pytest.param(ErrorKind.AUTH, 0, 2, True, id="a key that does not work"),
        pytest.param(ErrorKind.AUTH, 200, 1, False, id="one 401 among hundreds"),
        pytest.param(ErrorKind.BAD_REQUEST, 0, 5, False, id="some refused requests"),
        pytest.param(ErrorKind.BAD_REQUEST, 0, 6, True, id="only refused requests"),
        pytest.param(ErrorKind.CONTEXT_LENGTH, 0, 50, False, id="long inputs are not its fault"),
    ],
)
def test_how_many_faults_stop_a_model(house: House, kind: ErrorKind, good: int, bad: int, stops: bool) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL)
        for _ in range(good):
            gate.success(tier, SMALL)
        await fail_often(gate, tier, SMALL, kind, times=bad)
        assert isinstance(gate.pick(tier), Defer) is stops

    asyncio.run(scenario())


def test_faults_that_alternate_with_answers_stop_a_model_too(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL)
        for _ in range(6):
            gate.success(tier, SMALL)
            gate.fault(tier, SMALL, failed(ErrorKind.SERVER))
        await gate.close()
        assert isinstance(gate.pick(tier), Defer)

    asyncio.run(scenario())


def test_after_the_cool_down_one_call_of_all_workers_proves_the_model_and_success_brings_it_back(house: House) -> None:
    async def scenario() -> None:
        here, there, tier = house.gate(), house.gate(), tier_of(SMALL)
        there.pick(tier)
        await fail_often(here, tier, SMALL, ErrorKind.SERVER)
        await there.refresh()
        house.clock.now += 16
        probe = await here.enter(tier=tier, model=SMALL)
        assert isinstance(probe, Permit)
        for gate in (here, there):
            said = await gate.enter(tier=tier, model=SMALL)
            assert isinstance(said, Defer)
            assert said.cause is DeferCause.NO_MODEL
            assert isinstance(gate.pick(tier), Defer)
        await here.leave(probe, reply=GOOD)
        here.success(tier, SMALL)
        await here.close()
        await there.refresh()
        assert here.pick(tier) == there.pick(tier) == SMALL
        await admitted(here, SMALL)
        await admitted(there, SMALL)

    asyncio.run(scenario())


def test_a_probe_that_fails_doubles_the_cool_down(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL, cooldown_s=10)
        await fail_often(gate, tier, SMALL, ErrorKind.SERVER)
        for expected in (20, 40, 80, 160, 300, 300):
            said = gate.pick(tier)
            assert isinstance(said, Defer)
            house.clock.now += said.wait_s
            probe = await gate.enter(tier=tier, model=SMALL)
            assert isinstance(probe, Permit)
            await gate.leave(probe, reply=failed(ErrorKind.SERVER))
            gate.fault(tier, SMALL, failed(ErrorKind.SERVER))
            await gate.close()
            said = gate.pick(tier)
            assert isinstance(said, Defer)
            assert said.wait_s == pytest.approx(expected)

    asyncio.run(scenario())


def test_a_cancelled_probe_leaves_the_proof_to_the_next_call(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL)
        await fail_often(gate, tier, SMALL, ErrorKind.SERVER)
        house.clock.now += 16
        probe = await gate.enter(tier=tier, model=SMALL)
        assert isinstance(probe, Permit)
        await gate.leave(probe, reply=None)
        await gate.close()
        again = await gate.enter(tier=tier, model=SMALL)
        assert isinstance(again, Permit)
        assert again.probe

    asyncio.run(scenario())


def test_faults_of_calls_that_were_under_way_do_not_lengthen_a_cool_down(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL)
        await fail_often(gate, tier, SMALL, ErrorKind.SERVER, times=40)
        said = gate.pick(tier)
        assert isinstance(said, Defer)
        assert said.wait_s == pytest.approx(15)

    asyncio.run(scenario())


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 6000.0}], ids=["without limits", "with limits"])
def test_a_short_retry_after_is_waited_for(house: House, limits: dict[str, float]) -> None:
    async def scenario() -> None:
        model = model_of(**limits)
        gate, tier = house.gate(), tier_of(model)
        gate.fault(tier, model, failed(ErrorKind.RATE, retry_after_s=0.2))
        await gate.close()
        assert gate.pick(tier) == model
        began = asyncio.get_running_loop().time()
        await admitted(gate, model)
        assert asyncio.get_running_loop().time() - began > 0.15

    asyncio.run(scenario())


def test_a_long_retry_after_is_followed_by_every_worker_at_once(house: House) -> None:
    async def scenario() -> None:
        model = model_of(requests_per_minute=600)
        here, there, tier = house.gate(), house.gate(), tier_of(model)
        here.fault(tier, model, failed(ErrorKind.RATE, retry_after_s=40))
        await here.close()
        said = await there.enter(tier=tier, model=model)
        assert isinstance(said, Defer)
        assert (said.cause, said.wait_s) == (DeferCause.NO_MODEL, pytest.approx(40, abs=0.1))
        house.clock.now += 41
        await there.refresh()
        assert there.pick(tier) == model
        assert not (await admitted(there, model)).probe

    asyncio.run(scenario())


def test_a_gate_without_redis_goes_on_with_what_it_knows(house: House) -> None:
    async def scenario() -> None:
        gate, tier = house.gate(), tier_of(SMALL)
        house.server.connected = False
        with pytest.raises(RedisConnectionError):
            house.sync.ping()
        await fail_often(gate, tier, SMALL, ErrorKind.SERVER)
        await gate.refresh()
        assert isinstance(gate.pick(tier), Defer)
        house.clock.now += 15
        assert gate.pick(tier) == SMALL

    asyncio.run(scenario())
