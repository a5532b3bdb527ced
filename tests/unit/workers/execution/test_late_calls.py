"""A call that times out while its model answers others is its item's doing: three of them are enough."""

import asyncio

import fakeredis
import pytest

from firstline.config.shared_state.keys import Keys
from firstline.orchestrator.core.ladder import Sub, climb
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch, ItemTrail, Todo
from firstline.schemas.policy import Policy
from firstline.schemas.tier import Model, Tier
from firstline.schemas.verdict import Defer, Escalate, Reject
from firstline.workers.limits.cooldowns import Struck
from firstline.workers.limits.gate import Gate
from firstline.workers.limits.permit import Permit
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.policy import HOPELESS, LATE
from firstline.workers.worker import Worker
from tests.unit.worker_rig import A, Gated, Rig, batch, planned, simple, skill, tier, work
from tests.unit.workers.execution.test_model_choice import come_back

LATE_REPLY = Reply(error=ErrorKind.TIMEOUT, detail="no answer within 60 s")
GOOD = Reply(value=A, text='{"label": "a"}', cost_usd=0.01)
MODEL = Model(name="openai/small")
TIER = Tier(name="economy", models=(MODEL,), timeout_s=40)


class Prover:
    """One worker's gate with a clock, and a provider that answers what proves it."""

    def __init__(self, said: Reply = GOOD) -> None:
        self.now, self.said = 1_000.0, said
        self.probes: list[Call] = []
        self.heard: list[Reply] = []
        client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), decode_responses=True)
        self.gate = Gate(client=client, keys=Keys("test"), clock=lambda: self.now, prove=self.prove)

    async def prove(self, call: Call) -> Reply:
        self.probes.append(call)
        await asyncio.sleep(0.01)
        return self.said

    async def late(self, item: str) -> bool:
        permit, who = Permit("p", MODEL), Struck("a", "j1", item)
        return await self.gate.is_items_fault(TIER, permit, who, lambda _, reply: self.heard.append(reply))


def asked(poison: str, *, down: bool = False) -> Gated:
    """A provider that is late for one text, or for all."""
    return Gated(lambda call: LATE_REPLY if down or poison in str(call.messages) else GOOD)


class Proven(Rig):
    """A rig whose gate makes calls of its own, as a worker's does."""

    def prove(self, worker: Worker) -> None:
        worker.gate._prove = self.gateway.call

    def trail(self, given: Batch) -> ItemTrail:
        return self.run(given, before=self.prove).items[0]


def answers(rig: Rig) -> int:
    return sum("one word" not in str(call.messages) for call in rig.calls)


def through(rig: Proven, given: Batch) -> ItemTrail:
    """Return the trail of an item that comes back as long as it is deferred."""
    todo = given.work[0].todo[0]
    while True:
        trail = rig.trail(come_back(given, todo))
        if not trail.left or not isinstance(trail.left[0].verdict, Defer):
            return trail
        left = trail.left[0]
        todo = Todo(step="s", n=left.n, used=left.used, faults=left.faults)


def test_an_item_that_is_late_alone_climbs_after_two_calls_and_fails_after_a_third() -> None:
    rig = Proven(asked("poison"))
    below = through(rig, simple("poison", of=skill(policy=Policy(attempts_per_tier=1)))).left[0]
    assert isinstance(below.verdict, Escalate)
    assert "m1 answered others" in below.verdict.reason
    assert answers(rig) == 2
    above = climb(Sub("s", "cheap", faults=below.faults), ladder=("cheap", "frontier"))
    at_top = simple("poison", tier=tier(name="frontier"))
    top = through(rig, come_back(at_top, Todo(step="s", n=below.n, faults=above.faults))).left[0]
    assert isinstance(top.verdict, Reject)
    assert "no answer within 60 s" in top.verdict.reason
    assert answers(rig) == 3


def test_on_a_tier_alone_three_calls_are_enough() -> None:
    rig = Proven(asked("poison"))
    last = through(rig, simple("poison", ladder=("cheap",))).left[0]
    assert isinstance(last.verdict, Reject)
    assert answers(rig) == 3


def test_what_proves_that_the_model_answers_others_is_paid_and_on_record() -> None:
    trail = Proven(asked("poison")).trail(simple("poison"))
    assert [(one.purpose, one.verdict, one.cost_usd) for one in trail.attempts] == [
        ("probe", "asked", 0.01),
        ("answer", "fault", None),
    ]


def test_each_model_of_a_tier_is_asked_and_each_call_counts() -> None:
    rig = Proven(asked("poison"))
    left = rig.trail(simple("poison", tier=tier("m1", "m2"))).left[0]
    assert isinstance(left.verdict, Escalate)
    assert left.faults // LATE == 2


def test_a_provider_that_is_down_costs_no_item_its_tries() -> None:
    rig = Proven(asked("poison", down=True))
    left = rig.trail(simple("text")).left[0]
    assert isinstance(left.verdict, Defer)
    assert left.faults < HOPELESS


def test_a_late_pack_is_asked_item_by_item_and_the_others_are_answered() -> None:
    one = skill(pack=3)
    rig = Proven(asked("poison"))
    trail = rig.run(batch([planned("s", one)], [one], work("x", "poison", "y")), before=rig.prove)
    assert [bool(item.settled) for item in trail.items] == [True, False, True]
    assert trail.items[1].left[0].faults // LATE == 1


def test_what_climbs_takes_along_only_that_its_calls_were_late() -> None:
    assert climb(Sub("s", "cheap", faults=2 * LATE + 13), ladder=("cheap", "frontier")).faults == 2 * LATE


def test_where_others_were_answered_of_late_nobody_is_asked_for_proof() -> None:
    async def scenario() -> None:
        house = Prover()
        house.gate.success(TIER, MODEL)
        house.now += 9
        assert await house.late("1:s")
        assert house.probes == []
        house.now += 9
        assert await house.late("2:s")
        assert len(house.probes) == 1
        assert house.heard == [GOOD]

    asyncio.run(scenario())


def test_calls_that_are_late_at_once_share_one_proof() -> None:
    async def scenario() -> None:
        house = Prover()
        assert await asyncio.gather(*(house.late(f"{n}:s") for n in range(3))) == [True] * 3
        assert len(house.probes) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [LATE_REPLY, Reply(error=ErrorKind.SERVER, detail="down")])
def test_a_proof_that_fails_holds_it_against_the_model(said: Reply) -> None:
    async def scenario() -> None:
        house = Prover(said)
        assert not await house.late("1:s")

    asyncio.run(scenario())


def test_a_model_that_is_late_for_many_is_slow_and_none_of_them_is_to_blame() -> None:
    async def scenario() -> None:
        house = Prover()
        for n in range(12):
            house.gate.success(TIER, MODEL)
            blamed = await house.late(f"{n}:s")
            assert blamed == (n < 3)
        for _ in range(40):
            house.gate.success(TIER, MODEL)
        assert await house.late("99:s")

    asyncio.run(scenario())


def test_while_a_model_is_left_alone_no_item_is_to_blame() -> None:
    async def scenario() -> None:
        house = Prover()
        for n in range(3):
            house.gate.fault(TIER, MODEL, LATE_REPLY, Struck("a", "j1", f"{n}:s"))
        assert not await house.late("1:s")
        assert house.probes == []

    asyncio.run(scenario())
