"""Several items in one call: each gets its answer and its share of the price, and a pack that fails is taken apart."""

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.policy import Policy, Threshold
from firstline.schemas.verdict import DeferCause
from firstline.workers.execution.packing import keys_of, share_out
from firstline.workers.providers.fake import say
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import A, B, Gated, Rig, batch, planned, simple, skill, tier, work

PACKED = skill(pack=4)
ONE_TRY = skill(pack=4, policy=Policy(attempts_per_tier=1))


def count(call: Call) -> int:
    """Return the items in a call, 1 for one that is asked alone."""
    return len(re.findall(r"<item n=", str(call.messages[-1]["content"]))) or 1


def codes(call: Call) -> list[str]:
    """Return the codes of the items in a call."""
    return re.findall(r'<item n="(\w+)">', str(call.messages[-1]["content"]))


def sort(call: Call) -> Reply:
    """Answer a for every item that holds an a, else b, alone or packed."""
    text = str(call.messages[-1]["content"])
    inner = re.findall(r"<data[^>]*>\n(.*?)\n</data>", text, re.DOTALL)
    answers = [A if "a" in one else B for one in inner]
    usage = Usage(input_tokens=101, cached_tokens=7, output_tokens=33)
    if "<item n=" not in text:
        return say(answers[0], usage=usage, cost_usd=0.01)
    results = [{"n": key, "answer": answer} for key, answer in zip(codes(call), answers, strict=True)]
    return say({"results": results}, usage=usage, cost_usd=0.1)


def spoilt(broken: object, *, error: ErrorKind | None = None):
    """Return a gateway's function that spoils packs and answers single items."""

    def reply(call: Call) -> Reply:
        if count(call) == 1:
            return sort(call)
        value = broken(codes(call)) if callable(broken) else broken
        return say(value, error=error, cost_usd=0.1)

    return reply


def test_items_share_calls_and_each_gets_its_own_answer():
    rig = Rig(Gated(sort))
    trail = rig.run(simple(*"abcabcabca", of=PACKED))
    assert sorted(count(call) for call in rig.calls) == [2, 4, 4]
    assert [item.settled[0].value for item in trail.items] == [A if c == "a" else B for c in "abcabcabca"]
    assert all(len(item.attempts) == 1 for item in trail.items)


def test_the_attempts_of_a_pack_add_up_to_its_call():
    trail = Rig(Gated(sort)).run(simple(*"abca", of=PACKED))
    attempts = [attempt for item in trail.items for attempt in item.attempts]
    assert sum(attempt.cost_usd for attempt in attempts) == pytest.approx(0.1, abs=1e-12)
    assert sum(attempt.usage.input_tokens for attempt in attempts) == 101
    assert sum(attempt.usage.cached_tokens for attempt in attempts) == 7
    assert sum(attempt.usage.output_tokens for attempt in attempts) == 33


def test_an_item_that_has_no_company_is_asked_alone():
    rig = Rig(Gated(sort))
    rig.run(simple("a", of=PACKED))
    assert "<item" not in str(rig.calls[0].messages[-1]["content"])
    assert rig.calls[0].schema == PACKED.output


def coded(keys: list[str], *answers: object) -> dict[str, object]:
    return {"results": [{"n": key, "answer": answer} for key, answer in zip(keys, answers, strict=True)]}


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        pytest.param({"results": []}, None, id="no answers"),
        pytest.param({"results": "nonsense"}, None, id="off schema"),
        pytest.param(None, ErrorKind.MALFORMED, id="not JSON"),
        pytest.param(None, ErrorKind.TRUNCATED, id="cut off"),
        pytest.param(None, ErrorKind.REFUSED, id="refused"),
        pytest.param(None, ErrorKind.CONTEXT_LENGTH, id="too long together"),
        pytest.param(lambda keys: coded(keys, {"label": "z"}, {"label": "z"}), None, id="wrong answers"),
        pytest.param(lambda keys: coded(["1", "2"], A, B), None, id="numbered anew"),
        pytest.param(lambda keys: coded(keys[:1], A), None, id="one left out"),
        pytest.param(lambda keys: coded([*keys, keys[0]], A, B, A), None, id="one answered twice"),
        pytest.param(lambda keys: coded([*keys, "zzzz"], A, B, A), None, id="one that nobody asked for"),
    ],
)
def test_a_pack_that_fails_is_taken_apart_and_costs_no_item_an_attempt(broken, error):
    rig = Rig(Gated(spoilt(broken, error=error)))
    trail = rig.run(simple("a", "b", of=ONE_TRY))
    assert [count(call) for call in rig.calls] == [2, 1, 1]
    assert [item.settled[0].value for item in trail.items] == [A, B]
    assert [[one.verdict for one in item.attempts] for item in trail.items] == [["unpacked", "accept"]] * 2
    paid = sum(one.cost_usd for item in trail.items for one in item.attempts)
    assert paid == pytest.approx(0.1 + 0.01 + 0.01, abs=1e-12)


def test_a_models_own_fault_sends_the_whole_pack_to_the_next_model():
    def reply(call: Call) -> Reply:
        return Reply(error=ErrorKind.SERVER, detail="away") if call.model.name == "m1" else sort(call)

    rig = Rig(Gated(reply))
    trail = rig.run(simple(*"abca", of=PACKED, tier=tier("m1", "m2")))
    assert [(call.model.name, count(call)) for call in rig.calls] == [("m1", 4), ("m2", 4)]
    assert all(item.settled for item in trail.items)


def test_a_repeated_delivery_pays_for_no_pack_again():
    rig = Rig(Gated(sort))
    first = rig.run(simple(*"abca", of=PACKED))
    again = rig.run(simple(*"abca", of=PACKED), resumed=True)
    assert len(rig.calls) == 1
    assert again.items == first.items


def test_items_are_packed_anew_at_their_next_step():
    steps = [planned("s", PACKED), planned("t", PACKED, after=["s"])]
    rig = Rig(Gated(sort))
    trail = rig.run(batch(steps, [PACKED], work(*"abca")))
    assert [count(call) for call in rig.calls] == [4, 4]
    assert all(len(item.settled) == 2 for item in trail.items)


def test_items_that_are_weighed_are_asked_alone():
    weighed = skill(pack=4, confidence=({"kind": "margin"},))
    known = planned("s", weighed).evolve(thresholds={"cheap": {"m1": Threshold(signal="margin", value=0.9)}})
    rig = Rig(Gated(sort))
    rig.run(batch([known], [weighed], work(*"abca")))
    assert [count(call) for call in rig.calls] == [1, 1, 1, 1]


def test_a_long_item_is_asked_alone():
    rig = Rig(Gated(sort))
    rig.run(simple("a" * 10_000, "b", "c", of=PACKED))
    assert sorted(count(call) for call in rig.calls) == [1, 2]


def test_a_bound_on_the_answer_grows_with_the_pack():
    rig = Rig(Gated(sort))
    rig.run(simple(*"abc", of=skill(pack=4, params={"max_tokens": 50})))
    assert rig.calls[0].params["max_tokens"] == 150


def test_a_job_that_is_called_off_while_items_gather_asks_for_no_pack():
    rig = Rig(Gated(sort))
    trail = rig.run(simple(*"abc", of=PACKED), before=lambda worker: worker.cancel("j1"))
    assert [item.left[0].verdict.cause for item in trail.items] == [DeferCause.CANCELLED] * 3
    assert rig.calls == []


def test_a_pack_that_is_broken_off_is_on_record_for_each_item_at_unknown_cost():
    async def never(_: Call) -> Reply:
        await asyncio.sleep(60)
        raise AssertionError("nobody cancelled it")

    gateway = Gated(sort)
    gateway.call = never
    trail = Rig(gateway).run(simple(*"abca", of=PACKED), during=lambda worker: worker.cancel("j1"))
    assert [[one.cost_usd for one in item.attempts] for item in trail.items] == [[None]] * 4
    assert [item.left[0].verdict.cause for item in trail.items] == [DeferCause.CANCELLED] * 4


@given(
    texts=st.lists(st.text(max_size=200), min_size=1, max_size=20),
    tokens=st.integers(0, 10**6),
    cost=st.none() | st.floats(0, 10, allow_nan=False),
)
def test_shares_are_never_negative_and_add_up_whatever_the_items(texts, tokens, cost):
    reply = say(
        coded(list(keys_of([{"text": text} for text in texts])), *[A] * len(texts)),
        usage=Usage(input_tokens=tokens, output_tokens=tokens // 3),
        cost_usd=cost,
    )
    shares = share_out(reply, PACKED, [{"text": text} for text in texts])
    assert sum(share.usage.input_tokens for share in shares) == tokens
    assert sum(share.usage.output_tokens for share in shares) == tokens // 3
    assert all(share.usage.cached_tokens is None for share in shares)
    assert all(json.loads(share.text) == A for share in shares)
    if cost is None:
        assert all(share.cost_usd is None for share in shares)
    else:
        assert min(share.cost_usd for share in shares) >= 0
        assert sum(share.cost_usd for share in shares) == pytest.approx(cost, abs=1e-9)
