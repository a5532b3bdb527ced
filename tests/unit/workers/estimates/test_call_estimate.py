"""Estimates before a call, and what they learn."""

from dataclasses import replace

import pytest

from firstline.schemas.attempt import Usage
from firstline.schemas.base import JsonObject
from firstline.schemas.tier import Model, Price
from firstline.workers.estimates.call_estimate import Estimator, estimate, max_tokens, prompt_tokens, text_tokens
from firstline.workers.providers.gateway import Call, Reply

PRICED = Model(name="openai/small", price=Price(input=1.0, output=10.0))


def call_of(model: Model = PRICED, chars: int = 4_000, **params: object) -> Call:
    return Call(model, ({"role": "user", "content": "x" * chars},), schema_name="sort", params=dict(params))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("params", "tokens", "firm"),
    [
        pytest.param({"max_tokens": 50}, 1_054, True, id="max_tokens is counted in full"),
        pytest.param({"max_completion_tokens": 70, "max_tokens": 50}, 1_074, True, id="its newer name"),
        pytest.param({"max_completion_tokens": 50, "max_tokens": 70}, 1_074, True, id="the larger of two counts"),
        pytest.param({"max_tokens": 50, "max_output_tokens": 90}, 1_094, True, id="a provider's own name"),
        pytest.param({"max_tokens": 50, "n": 4}, 1_204, True, id="for each of several answers"),
        pytest.param({"thinking": {"budget_tokens": 96}, "max_tokens": 1}, 1_100, True, id="thinking is paid too"),
        pytest.param({"max_tokens": 50, "extra_body": {"max_tokens": 400}}, 1_404, True, id="in the body besides"),
        pytest.param({"extra_body": {"options": {"num_predict": 90}}}, 1_094, True, id="deeper"),
        pytest.param({"max_tokens": 5, "reasoning": {"max_tokens": 90}}, 1_094, True, id="a router's thoughts"),
        pytest.param({"generationConfig": {"maxOutputTokens": 9, "candidateCount": 3}}, 1_031, True, id="Gemini"),
        pytest.param({"thinkingConfig": {"thinkingBudget": 90}, "max_tokens": 5}, 1_094, True, id="Gemini's thoughts"),
        pytest.param({"max_tokens": 50, "extra_body": {"best_of": 4}}, 1_204, True, id="the best of several"),
        pytest.param({"max_tokens": 50, "n": 2, "extra_body": {"n": 4}}, 1_204, True, id="the larger number"),
        pytest.param({"max_tokens": 50.0}, 1_054, True, id="a number with a point"),
        pytest.param(
            {"max_tokens": 50, "prediction": {"type": "content", "content": "x" * 400}}, 1_154, True, id="foretold"
        ),
        pytest.param({"max_tokens": -1}, 1_260, False, id="no bound at all"),
        pytest.param({"max_tokens": 50, "metadata": {"n": 9}}, 1_054, True, id="somebody's own words"),
        pytest.param({}, 1_260, False, id="a guess without a bound"),
    ],
)
def test_tokens_before_anything_is_known(params: JsonObject, tokens: int, firm: bool) -> None:
    guess = estimate(call_of(**params))
    assert (guess.tokens, guess.firm) == (tokens, firm)


def test_a_provider_that_counts_what_is_used_is_told_what_is_expected() -> None:
    call = call_of(Model(name="anthropic/claude"), max_tokens=5_000)
    guess = estimate(call, output=20)
    assert (guess.tokens, guess.firm) == (1_024, False)


def test_dollars_come_from_the_price_and_are_unknown_without_one() -> None:
    assert estimate(call_of(max_tokens=100)).cost_usd == pytest.approx((1_004 * 1 + 100 * 10) / 1e6)
    assert estimate(call_of(Model(name="openai/unpriced"))).cost_usd is None


def test_money_is_reserved_for_all_that_an_answer_may_be_however_short_they_were_so_far() -> None:
    estimator = Estimator()
    estimator.learn(call_of(), Reply(usage=Usage(input_tokens=1_004, output_tokens=3)))
    assert estimator.estimate(call_of(max_tokens=500)).cost_usd == pytest.approx((1_004 + 500 * 10) / 1e6)


def test_an_estimator_learns_how_long_prompts_and_answers_are() -> None:
    estimator = Estimator()
    for _ in range(5):
        estimator.learn(call_of(), Reply(usage=Usage(input_tokens=2_008, output_tokens=30)))
    assert estimator.estimate(call_of()).tokens == 2_008 + 30
    assert estimator.estimate(call_of(max_tokens=10)).cost_usd == pytest.approx((2_008 + 10 * 10) / 1e6)


def test_a_reply_without_usage_or_of_several_calls_teaches_nothing() -> None:
    estimator = Estimator()
    estimator.learn(call_of(), Reply())
    estimator.learn(call_of(), Reply(usage=Usage(input_tokens=9_000, output_tokens=900), calls=2))
    assert estimator.estimate(call_of()) == estimate(call_of())


def test_a_model_bounds_its_answers_by_any_name_as_well() -> None:
    model = PRICED.evolve(params={"extra_body": {"max_completion_tokens": 300}})
    assert estimate(call_of(model, max_tokens=100)).cost_usd == pytest.approx((1_004 * 1 + 300 * 10) / 1e6)


@pytest.mark.parametrize(
    "more",
    [
        {"tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "x" * 4_000}}]},
        {"reasoning_content": "x" * 4_000},
    ],
)
def test_all_of_a_message_counts_as_prompt(more: JsonObject) -> None:
    call = call_of()
    assert prompt_tokens(replace(call, messages=({**call.messages[0], **more},))) >= prompt_tokens(call) + 1_000


def test_a_form_that_is_handed_on_counts_as_prompt() -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"description": "x" * 4_000}}}
    assert prompt_tokens(call_of(response_format=form)) >= prompt_tokens(call_of()) + 1_000


def test_schema_and_tools_count_as_prompt() -> None:
    plain = call_of()
    full = Call(plain.model, plain.messages, schema={"type": "object"}, tools=({"name": "look"},))
    assert prompt_tokens(full) > prompt_tokens(plain)
    assert max_tokens(plain) is None


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("the quick brown fox " * 100, 450, 550),
        ("请退款给我谢谢" * 100, 600, 800),
        ("注文はどこですか" * 100, 700, 900),
        ("주문이 어디 있나요" * 100, 700, 950),
        ("Где мой заказ? " * 100, 500, 800),
        ("Straße über Köln " * 100, 400, 500),
        ("😀" * 100, 150, 250),
    ],
)
def test_tokens_are_counted_by_script(text, least, most):
    assert least <= text_tokens(text) <= most


def test_what_is_marked_for_the_cache_is_reserved_at_the_price_of_a_write():
    price = Price(input=1, cached_input=0.1, cache_write=1.25, output=0)
    static = {"role": "system", "content": "a" * 4_000}
    call = Call(Model(name="m", price=price), (static, {"role": "user", "content": "b" * 400}), static=1)
    plain, marked = (estimate(replace(call, cached=cached)).cost_usd for cached in (None, True))
    assert marked - plain == pytest.approx(1_004 * 0.25 / 1e6)
