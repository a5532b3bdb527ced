"""A worker dies at every point of a provider batch: one batch, one bill, in each wire format."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import fakeredis
import httpx
import pytest

from firstline.config.shared_state.keys import Keys
from firstline.schemas.provider_batch import ProviderBatchAct, ProviderBatchNews, ProviderBatchOrder, ProviderBatchState
from firstline.schemas.tier import Model, Price, ProviderBatchTerms, Tier, TierKind
from firstline.workers.durability.paid_answers import PaidAnswer, PaidAnswers
from firstline.workers.execution.provider_batch import carry_message
from firstline.workers.limits.gate import Gate
from firstline.workers.providers.batches.api import BatchApi
from firstline.workers.providers.litellm_gateway import LitellmGateway, load
from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import Script
from firstline.workers.worker import Worker
from tests.unit.worker_rig import batch, planned, skill, work

KEYS = Keys("t")
SCRIPT = Script.model_validate({"seed": 1, "models": {"*": {}}, "batches": {"turnaround_s": 0}})
PRICE = Price(input=1, output=2)
#: Model -> what its URL ends with.
MODELS = {"openai/gpt-4o-mini": "/v1", "anthropic/claude-haiku-4-5": "", "gemini/gemini-2.5-flash": ""}
TEXTS = ("where is my parcel", "refund me", "hello")
#: What a worker does to the provider, in order; it dies before or after each.
DOINGS = ("requests", "upload", "create", "look", "answers")


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A Batch API whose worker dies once, before or after one of its doings."""

    def __init__(self, api: BatchApi, doing: str, when: str) -> None:
        self._api, self._doing, self._when = api, doing, when

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._api, name)
        if name != self._doing:
            return act

        async def deadly(*args: Any, **more: Any) -> Any:
            self._doing, when = "", self._when
            if when == "before":
                raise Killed
            await act(*args, **more)
            raise Killed

        return deadly


@pytest.fixture(scope="module")
def gateway() -> LitellmGateway:
    return load()


@pytest.fixture
def url() -> Iterator[str]:
    with running(SCRIPT) as url:
        yield url


def order(model: Model, act: ProviderBatchAct, tries: int, known: ProviderBatchNews | None) -> ProviderBatchOrder:
    tier = Tier(
        name="overnight",
        kind=TierKind.BATCH,
        models=(model,),
        bulk=ProviderBatchTerms(requests=10, fill_s=0, poll_s=1),
    )
    of = skill()
    sent = batch([planned("s", of, start="overnight")], [of], work(*TEXTS), tier=tier, ladder=("overnight",))
    return ProviderBatchOrder(
        id="0123456789abcdef",
        act=act,
        job="j1",
        tier=tier,
        batches=(sent,),
        model=known.model if known else None,
        provider_id=known.provider_id if known else None,
        reserved_usd=known.reserved_usd if known else None,
        requests=len(TEXTS),
        tries=tries,
        created_at=datetime(2026, 11, 29, 12, tzinfo=UTC),
    )


async def played(gateway: LitellmGateway, model: Model, doing: str, when: str) -> dict[str, PaidAnswer]:
    """Carry a provider batch from its order to its answers; whoever has it dies once, and another one goes on."""
    redis = fakeredis.FakeAsyncRedis(decode_responses=True)
    api: Any = Mortal(gateway.batch_api, doing, when)
    known: ProviderBatchNews | None = None
    act, tries = ProviderBatchAct.SUBMIT, 0
    for _ in range(20):
        paid = PaidAnswers(redis, KEYS)
        gate = Gate(client=redis, keys=KEYS)
        worker = Worker(name="w", gateway=gateway, client=redis, keys=KEYS, paid=paid, gate=gate, batch_api=api)
        message = order(model, act, tries, known).model_dump_json()
        tries += act is ProviderBatchAct.SUBMIT
        try:
            text = await carry_message(message, worker)
        except Killed:
            # Nobody renews what it held: its time runs out.
            await redis.delete(KEYS.lease("0123456789abcdef"))
            continue
        finally:
            await gate.close()
        assert text is not None
        known = ProviderBatchNews.model_validate_json(text)
        match known.state:
            case ProviderBatchState.SUBMITTED:
                act = ProviderBatchAct.LOOK
            case ProviderBatchState.ENDED:
                act = ProviderBatchAct.COLLECT
            case ProviderBatchState.COLLECTED:
                return await paid.of("b1")
            case _:
                raise AssertionError(known)
    raise AssertionError("it came to no end")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_point_makes_no_second_batch_and_no_other_bill(
    gateway: LitellmGateway, url: str, name: str, doing: str, when: str
) -> None:
    model = Model(name=name, api_base=f"{url}{MODELS[name]}", price=PRICE)
    kept = asyncio.run(played(gateway, model, doing, when))
    log = httpx.get(f"{url}/log").json()
    assert len({call["batch"] for call in log}) == 1
    assert len(log) == len(kept) == len(TEXTS)
    assert all(one.reply.error is None and one.reply.value is not None for one in kept.values())
    bill = sum(call["input_tokens"] * 1 + call["output_tokens"] * 2 for call in log) / 1e6
    assert sum(one.reply.cost_usd or 0 for one in kept.values()) == pytest.approx(bill, abs=1e-12)


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "gemini/gemini-2.5-flash"])
def test_another_one_that_bears_our_mark_is_booked_with_what_it_cost(
    gateway: LitellmGateway, url: str, name: str
) -> None:
    model = Model(name=name, api_base=f"{url}{MODELS[name]}", price=PRICE)

    class Twice(Mortal):
        """Makes two batches of the same requests."""

        def __getattr__(self, name: str) -> Any:
            act = getattr(self._api, name)
            if name != "create":
                return act

            async def twice(*args: Any, **more: Any) -> Any:
                await act(*args, **more)
                return await act(*args, **more)

            return twice

    class Gateway:
        """The gateway with that Batch API."""

        batch_api = Twice(gateway.batch_api, "", "")

    kept = asyncio.run(played(Gateway(), model, "", ""))  # type: ignore[arg-type]
    log = httpx.get(f"{url}/log").json()
    assert (len(log), len(kept)) == (2 * len(TEXTS), len(TEXTS))
    bill = sum(call["input_tokens"] * 1 + call["output_tokens"] * 2 for call in log) / 1e6
    assert sum(one.reply.cost_usd or 0 for one in kept.values()) == pytest.approx(bill, abs=1e-12)
