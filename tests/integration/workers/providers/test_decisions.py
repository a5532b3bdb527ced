"""Typed questions to decision models, through litellm and over real HTTP."""

import asyncio
import json
from typing import Any

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.policy import Signal
from firstline.schemas.skill import InputField, Skill
from firstline.schemas.tier import Model, Price, Structured
from firstline.workers.confidence import CheckedAnswer
from firstline.workers.confidence.verifier import probability, verification
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.providers.litellm_gateway import load
from firstline.workers.simulator.running import running
from firstline.workers.simulator.script import Script

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {
            "description": "What the customer wants.",
            "oneOf": [
                {"const": "refund", "description": "Wants money back."},
                {"const": "card", "description": "Asks about a card."},
            ],
        },
        "angry": {"type": "boolean", "description": "Whether the customer is angry."},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"type": "object", "properties": {"formal": {"enum": ["yes", "no", None]}}},
        "kind": {"const": "ticket"},
    },
}
TRUTH = {"intent": "card", "angry": False, "urgency": 4, "tone": {"formal": None}, "kind": "ticket"}
SCRIPT = {
    "models": {
        "good": {"answer": {"kind": "fixed", "text": json.dumps(TRUTH)}, "confidence": {"right": 0.9}},
        "bare": {"answer": {"kind": "fixed", "text": '"card"'}},
        "strange": {"answer": {"kind": "fixed", "text": '"cart"'}},
        "silent": {
            "answer": {"kind": "fixed", "text": json.dumps(TRUTH)},
            "faults": [{"kind": "no_probabilities"}],
        },
        "believing": {"answer": {"kind": "fixed", "text": "true"}},
        "doubting": {"answer": {"kind": "fixed", "text": "false"}},
        "refusing": {"faults": [{"kind": "refusal"}]},
        "broken": {"faults": [{"kind": "server_error"}]},
    }
}
PRICE = Price(input=1.0, output=0.0)


@pytest.fixture(scope="module")
def ask():
    gateway, loop = load(), asyncio.new_event_loop()
    with running(Script.model_validate(SCRIPT)) as url:

        def asked(name: str, schema: dict[str, Any] | None = FORM) -> Reply:
            model = Model(name=f"openai/{name}", api_base=f"{url}/v1", structured=(Structured.DECISIONS,), price=PRICE)
            messages = ({"role": "system", "content": "Sort tickets."}, {"role": "user", "content": "my card is lost"})
            return loop.run_until_complete(gateway.call(Call(model=model, messages=messages, schema=schema)))

        yield asked
    loop.close()


def test_every_closed_field_is_a_question_and_the_answer_is_put_together_again(ask):
    reply = ask("good")
    assert (reply.error, reply.value) == (None, TRUTH)
    assert json.loads(reply.text or "") == TRUTH
    assert 0.1 < reply.certainty < 1
    assert reply.structured == "decisions"


def test_it_is_paid_for_as_the_provider_counts(ask):
    reply = ask("good")
    assert reply.cost_usd == pytest.approx(reply.usage.input_tokens / 1e6)
    # What the labels mean is sent, and counted.
    assert reply.usage.input_tokens > 60


def test_an_answer_that_is_one_label_is_one_question(ask):
    assert ask("bare", {"enum": ["refund", "card"]}).value == "card"


def test_a_label_that_was_not_offered_is_no_answer_and_is_paid(ask):
    reply = ask("strange", {"enum": ["refund", "card"]})
    assert (reply.error, reply.detail) == (ErrorKind.OFF_SCHEMA, "`the answer`: 'none of these' is none of its labels")
    assert reply.cost_usd


def test_without_probabilities_nobody_knows_how_sure_it_is(ask):
    reply = ask("silent", {"type": "object", "properties": {"intent": FORM["properties"]["intent"]}})
    assert (reply.error, reply.value, reply.certainty) == (None, {"intent": "card"}, None)


def test_a_refusal_and_a_fault_are_what_they_are_with_any_model(ask):
    assert ask("refusing").error is ErrorKind.REFUSED
    failed = ask("broken")
    assert (failed.error, failed.cost_usd) == (ErrorKind.SERVER, 0.0)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (None, "a decision model writes no text"),
        (
            {"type": "object", "properties": {"note": {"type": "string"}}},
            "note may hold anything, and a decision model only picks from labels",
        ),
        ({"const": "ticket"}, "no field of it leaves a choice"),
        (
            {"enum": [f"label {n}" for n in range(256)]},
            "the answer has more than 255 labels, the most that a decision model takes",
        ),
    ],
)
def test_what_it_cannot_answer_is_never_sent(ask, schema, why):
    reply = ask("good", schema)
    assert (reply.error, reply.detail, reply.cost_usd) == (ErrorKind.BAD_REQUEST, why, 0.0)


def test_it_may_be_asked_whether_another_models_answer_holds(ask):
    skill = Skill(name="sort", instructions="Sort tickets.", input={"text": InputField()}, output={"enum": ["a", "b"]})
    answered = CheckedAnswer(skill, (), {"text": "x"}, Reply(text="a"), "a")
    asked = verification(Signal(kind="verifier", tier="decide"), answered)
    sure = probability(ask("believing", asked.question))
    assert sure is not None
    assert sure > 0.5
    doubt = probability(ask("doubting", asked.question))
    assert doubt is not None
    assert doubt < 0.5
