"""Bills that cannot be believed."""

from types import SimpleNamespace

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.tier import Model
from firstline.workers.providers.billing import MOST_TOKENS, booked
from firstline.workers.providers.gateway import Reply

MODEL = Model(name="openai/small")
ROUTED = Model(name="openrouter/small")


def response(**usage: object) -> SimpleNamespace:
    message = SimpleNamespace(content="yes", tool_calls=None)
    choice = SimpleNamespace(message=message, finish_reason="stop")
    return SimpleNamespace(choices=[choice], usage=SimpleNamespace(**usage))


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param({"prompt_tokens": 10**15, "completion_tokens": 1}, id="input"),
        pytest.param({"prompt_tokens": 1, "completion_tokens": 10**15}, id="output"),
        pytest.param({"prompt_tokens": 1, "completion_tokens": MOST_TOKENS + 1}, id="just above"),
        pytest.param(
            {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**15}},
            id="cached",
        ),
        pytest.param({"prompt_tokens": 10**400, "completion_tokens": 1}, id="more than a float holds"),
        pytest.param({"prompt_tokens": float("inf"), "completion_tokens": 1}, id="infinitely many"),
    ],
)
def test_a_bill_that_no_call_can_have_is_the_providers_fault_and_no_estimate(usage):
    reply = booked(Reply(text="yes"), response(**usage), MODEL)
    assert reply.error is ErrorKind.SERVER
    assert reply.usage.input_tokens is None
    assert reply.usage.output_tokens is None
    assert "cannot be believed" in (reply.detail or "")


def test_the_largest_calls_of_today_are_believed():
    reply = booked(Reply(text="yes"), response(prompt_tokens=10_000_000, completion_tokens=1_000_000), MODEL)
    assert reply.error is None
    assert reply.usage.input_tokens == 10_000_000


@pytest.mark.parametrize("usd", [10**400, 1e300, 1e9], ids=["400 digits", "a large float", "a billion"])
def test_dollars_that_no_call_costs_are_not_believed_either(usd):
    reply = booked(Reply(text="yes"), response(prompt_tokens=1, completion_tokens=1, cost=usd), ROUTED)
    assert (reply.error, reply.cost_usd) == (ErrorKind.SERVER, None)


def test_dollars_that_a_router_states_are_the_price():
    assert booked(Reply(text="yes"), response(prompt_tokens=1, completion_tokens=1, cost=0.5), ROUTED).cost_usd == 0.5
