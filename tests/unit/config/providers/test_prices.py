"""What a model costs: the profile's word, litellm's list, the length of the prompt, the lane, the hour, the place."""

from datetime import UTC, date, datetime

import pytest

from firstline.config.providers.prices import Terms, has_price, price_of
from firstline.schemas.tier import Lane, Model, Price, Rates

WEEKDAY_NOON = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
WEEKDAY_NIGHT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)


def input_of(name: str, **terms: object) -> float | None:
    price = price_of(Model(name=name), Terms(**terms))  # type: ignore[arg-type]
    return None if price is None else price.input


@pytest.mark.parametrize(
    ("name", "known"),
    [
        pytest.param("openai/gpt-4o-mini", True, id="by the bare name of the same provider"),
        pytest.param("gpt-4o-mini", True, id="without a provider"),
        pytest.param("deepseek/deepseek-chat", True, id="by the full name"),
        pytest.param("openai/responses/gpt-6-luna", True, id="asked by another route"),
        pytest.param("bedrock/converse/us.anthropic.claude-haiku-5-5", True, id="Bedrock by a route"),
        pytest.param("openai/deepseek-chat", False, id="a namesake on a server of OpenAI's shape"),
        pytest.param("hosted_vllm/gpt-4o", False, id="a namesake on one's own server"),
        pytest.param("openai/nobody-knows-it", False, id="unknown"),
    ],
)
def test_a_model_has_the_price_of_its_own_provider_and_of_no_namesake(name: str, known: bool) -> None:
    assert has_price(Model(name=name)) is known
    assert (price_of(Model(name=name)) is not None) is known


@pytest.mark.parametrize(
    ("tokens", "usd"), [pytest.param(100_000, 0.1, id="at the limit"), pytest.param(100_001, 0.5, id="beyond it")]
)
def test_a_long_prompt_has_the_price_of_its_length(tokens: int, usd: float) -> None:
    assert input_of("anthropic/claude-haiku-5-5", prompt_tokens=tokens) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("name", "tokens", "usd"),
    [
        ("minimax/MiniMax-M3", 512_001, 0.6),
        ("dashscope/qwen-flash", 256_000, 0.05),
        ("dashscope/qwen-flash", 256_001, 0.25),
    ],
)
def test_lengths_are_read_however_they_are_listed(name: str, tokens: int, usd: float) -> None:
    assert input_of(name, prompt_tokens=tokens) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("name", "lane", "usd"),
    [
        pytest.param("openai/gpt-6-luna", Lane.FLEX, 0.05, id="flex"),
        pytest.param("openai/gpt-6-luna", Lane.PRIORITY, 0.2, id="priority"),
        pytest.param("openai/gpt-6-luna", Lane.BATCH, 0.05, id="batch"),
        pytest.param("openai/gpt-4o-mini", Lane.FLEX, None, id="a lane without a price is unknown, not standard"),
        pytest.param("mistral/mistral-small-latest", Lane.BATCH, 0.075, id="batches are half where nobody lists them"),
        pytest.param("deepseek/deepseek-chat", Lane.BATCH, None, id="but not where there are none"),
    ],
)
def test_a_lane_has_its_own_price(name: str, lane: Lane, usd: float | None) -> None:
    assert input_of(name, lane=lane, at=WEEKDAY_NOON) == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("at", "usd"),
    [
        pytest.param(WEEKDAY_NOON, 0.3, id="peak"),
        pytest.param(WEEKDAY_NIGHT, 0.15, id="night"),
        pytest.param(SUNDAY, 0.15, id="sunday"),
    ],
)
def test_off_peak_hours_have_their_own_price(at: datetime, usd: float) -> None:
    assert input_of("deepseek/deepseek-v4-flash", at=at) == pytest.approx(usd)


def test_the_place_where_a_call_is_answered_has_its_price() -> None:
    assert input_of("anthropic/claude-sonnet-5-5", geo="us") == pytest.approx(2.2)
    europe = Model(name="openai/gpt-6-luna", api_base="https://eu.api.openai.com/v1")
    price = price_of(europe)
    assert price is not None
    assert price.input == pytest.approx(0.11)


def test_a_deployment_of_azure_has_the_price_of_the_model_that_it_turns_out_to_be() -> None:
    assert input_of("azure/my-deployment") is None
    assert input_of("azure/my-deployment", served="gpt-4.1-2025-04-14") == pytest.approx(2.0)
    assert input_of("openai/my-server", served="gpt-4.1") is None


OWN = Price(
    input=2,
    output=8,
    above={1000: Rates(input=4)},
    lanes={Lane.FLEX: Rates(input=1, output=4)},
    source="a contract",
    as_of=date(2026, 11, 1),
)


@pytest.mark.parametrize(
    ("terms", "rates"),
    [
        pytest.param(Terms(), (2, 8), id="as it stands"),
        pytest.param(Terms(prompt_tokens=1001), (4, 8), id="a long prompt"),
        pytest.param(Terms(lane=Lane.FLEX), (1, 4), id="another lane"),
        pytest.param(Terms(lane=Lane.PRIORITY), None, id="a lane of which it says nothing"),
    ],
)
def test_the_profiles_price_goes_before_the_list(terms: Terms, rates: tuple[float, float] | None) -> None:
    price = price_of(Model(name="openai/gpt-4o-mini", price=OWN), terms)
    assert (None if price is None else (price.input, price.output)) == rates


def test_a_profiles_price_is_that_of_the_lane_which_its_parameters_ask_for() -> None:
    model = Model(name="x", price=Price(input=1, output=2), params={"service_tier": "flex"})
    assert price_of(model) is not None
    assert price_of(model, Terms(lane=Lane.FLEX)) is not None
    assert price_of(model, Terms(lane=Lane.STANDARD)) is None


def test_a_listed_price_says_which_list_and_which_lane_it_is_of() -> None:
    price = price_of(Model(name="openai/gpt-6-luna"), Terms(lane=Lane.FLEX))
    assert price is not None
    assert price.source.startswith("litellm 1.")
    assert price.source.endswith(", flex")
