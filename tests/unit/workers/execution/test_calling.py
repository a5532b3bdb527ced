"""What a call cost on its way is on record: what proves that a model answers is an attempt like any other."""

import time
from dataclasses import replace

import pytest

from firstline.schemas.attempt import ErrorKind, Usage
from firstline.schemas.verdict import DeferCause
from firstline.workers.providers.fake import say
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.response_parser import read_reply
from firstline.workers.worker import Worker
from tests.unit.worker_rig import A, B, Gated, Rig, simple, skill, tier


def on_probation(probe: Reply):
    """Have the only model's cool-down be just over, and its next call a probe of our own."""

    async def prove(call: Call) -> Reply:
        return probe

    def before(worker: Worker) -> None:
        worker.gate._prove = prove
        (model,) = tier().models
        worker.gate._cooldowns.of(model).cool(ErrorKind.SERVER, time.monotonic() - 1, probation=True)

    return before


def test_what_proves_a_model_is_an_attempt_of_the_item_that_waited_for_it():
    trail = Rig([say(A, cost_usd=0.5)]).run(simple("x"), before=on_probation(say(B, cost_usd=0.25)))
    (item,) = trail.items
    assert [settled.value for settled in item.settled] == [A]
    told = {attempt.purpose: (attempt.n, attempt.cost_usd, attempt.verdict) for attempt in item.attempts}
    assert told == {"answer": (0, 0.5, "accept"), "probe": (1, 0.25, "asked")}


def test_a_probe_that_failed_is_on_record_and_costs_the_item_nothing_else():
    refused = Reply(error=ErrorKind.SERVER, detail="still away", cost_usd=0.0)
    rig = Rig([])
    trail = rig.run(simple("x"), before=on_probation(refused))
    (item,) = trail.items
    (left,) = item.left
    assert (left.verdict.cause, left.used, rig.calls) == (DeferCause.NO_MODEL, 0, [])
    assert [(attempt.purpose, attempt.error) for attempt in item.attempts] == [("probe", ErrorKind.SERVER)]


def test_a_probe_that_cannot_be_kept_whole_is_on_record_too():
    odd = say(B, cost_usd=0.25)
    trail = Rig([say(A)]).run(simple("x"), before=on_probation(replace(odd, finish_reason="st\ud800op")))
    (item,) = trail.items
    assert {attempt.purpose: attempt.cost_usd for attempt in item.attempts}["probe"] == 0.25


def test_a_packs_probe_is_paid_once():
    packed = {"answers": [{"item": n, "answer": A} for n in range(3)]}
    rig = Rig([say(packed, cost_usd=0.3)] + [say(A, cost_usd=0.1)] * 3)
    trail = rig.run(simple("x", "y", "z", of=skill(pack=3)), before=on_probation(say(B, cost_usd=0.25)))
    probes = [one for item in trail.items for one in item.attempts if one.purpose == "probe"]
    assert [one.cost_usd for one in probes] == [0.25]


def nested(levels: int) -> list[object]:
    found: list[object] = []
    for _ in range(levels):
        found = [found]
    return found


HALF = "a\ud800b"
CALLED = {"id": HALF, "type": "function", "function": {"name": HALF, "arguments": "{}"}}
UNKEEPABLE = {
    "why it stopped": {"finish_reason": HALF},
    "why it stopped is no text": {"finish_reason": {"a": 1}},
    "a refusal": {"message": {"refusal": HALF}},
    "a tool's name": {"message": {"tool_calls": [CALLED]}},
    "a tool's arguments": {"message": {"tool_calls": [CALLED | {"function": {"name": "l", "arguments": {"a": HALF}}}]}},
    "thoughts": {"message": {"tool_calls": [CALLED | {"id": "a"}], "reasoning_content": HALF}},
    "deep thoughts": {"message": {"tool_calls": [CALLED | {"id": "a"}], "thinking_blocks": nested(300)}},
    "tokens": {"logprobs": {"content": [{"token": HALF, "logprob": -1.0, "top_logprobs": []}]}},
}


@pytest.mark.parametrize("odd", UNKEEPABLE.values(), ids=UNKEEPABLE.keys())
def test_what_was_paid_is_on_record_whatever_the_answer_is(odd):
    message = {"role": "assistant", "content": "hi", **odd.get("message", {})}
    choice = {"finish_reason": "stop", **odd, "message": message}

    def answer(call: Call) -> Reply:
        reply = read_reply({"choices": [choice]}, replace(call, top_logprobs=1))
        return replace(reply, usage=Usage(input_tokens=5, output_tokens=7), cost_usd=0.5)

    rig = Rig(Gated(answer))
    read = rig.run(simple("x"))
    (item,) = read.items
    costs = [attempt.cost_usd for attempt in item.attempts]
    assert costs == [0.5] * len(rig.calls)
    assert costs
    assert "internal" not in read.model_dump_json()
