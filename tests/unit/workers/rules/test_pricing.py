"""What a call cost: every kind of token once, at its own rate."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.config.providers.prices import Terms
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Model, Price
from firstline.workers.rules.pricing import Cost, cost, dollars, dollars_in_full, reckoned

LISTED = Price(
    input=1,
    cached_input=0.1,
    cache_write=1.25,
    cache_write_long=2,
    output=4,
    reasoning=3,
    audio_input=10,
    audio_output=40,
    search_usd=0.01,
)
OWN = Price(input=2, output=8)
M = 1_000_000


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        pytest.param(Usage(input_tokens=M, output_tokens=0), OWN, 2.0, id="input alone"),
        pytest.param(Usage(input_tokens=0, output_tokens=500_000), OWN, 4.0, id="output alone"),
        pytest.param(
            Usage(input_tokens=1000, cached_tokens=400, output_tokens=100), LISTED, 0.00104, id="cached input"
        ),
        pytest.param(Usage(input_tokens=1000, cached_tokens=400, output_tokens=100), OWN, 0.0028, id="no cached price"),
        pytest.param(
            Usage(input_tokens=10, cached_tokens=50, output_tokens=0), LISTED, 1e-6, id="more cached than sent"
        ),
        pytest.param(
            Usage(input_tokens=M, cache_write_tokens=M // 2, output_tokens=0), LISTED, 1.125, id="written to the cache"
        ),
        pytest.param(
            Usage(input_tokens=M, cache_write_tokens=M // 2, cache_write_long_tokens=M // 4, output_tokens=0),
            LISTED,
            0.5 + 0.3125 + 0.5,
            id="written for long",
        ),
        pytest.param(
            Usage(input_tokens=M, cache_write_tokens=1, output_tokens=0), OWN, None, id="what a write costs is unknown"
        ),
        pytest.param(Usage(input_tokens=10, output_tokens=5, reasoning_tokens=5), OWN, 6e-5, id="reasoning is output"),
        pytest.param(Usage(input_tokens=0, output_tokens=M, reasoning_tokens=M // 2), LISTED, 3.5, id="of its own"),
        pytest.param(Usage(input_tokens=M, audio_input_tokens=M // 10, output_tokens=0), LISTED, 1.9, id="sound"),
        pytest.param(Usage(input_tokens=M, audio_input_tokens=1, output_tokens=0), OWN, None, id="sound is unknown"),
        pytest.param(Usage(input_tokens=0, output_tokens=0, searches=3), LISTED, 0.03, id="searches"),
        pytest.param(Usage(input_tokens=0, output_tokens=0, searches=3), OWN, None, id="searches are unknown"),
        pytest.param(Usage(input_tokens=10, output_tokens=5), Price(input=1), None, id="output price unknown"),
        pytest.param(Usage(input_tokens=10, output_tokens=0), Price(input=1), 1e-5, id="unknown price not needed"),
        pytest.param(Usage(output_tokens=5), OWN, None, id="input tokens unknown"),
        pytest.param(Usage(), OWN, None, id="nothing known"),
        pytest.param(Usage(input_tokens=10, output_tokens=5), Price(input=0, output=0), 0.0, id="free"),
    ],
)
def test_tokens_cost_what_the_price_per_million_says(usage: Usage, price: Price, usd: float | None) -> None:
    assert dollars(usage, price) == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param(Model(name="openai/gpt-4o-mini", price=OWN), Cost(3.0, "profile"), id="the profile"),
        pytest.param(
            Model(name="a", price=OWN.evolve(source="a contract", as_of=date(2026, 11, 1))),
            Cost(3.0, "a contract, 2026-11-01"),
            id="with its source and date",
        ),
        pytest.param(Model(name="a"), Cost(None, None), id="unknown"),
    ],
)
def test_the_source_of_a_price_is_told(model: Model, expected: Cost) -> None:
    assert cost(Usage(input_tokens=500_000, output_tokens=250_000), model, Terms()) == expected


def test_what_is_only_expected_has_the_price_of_its_length() -> None:
    model = Model(name="anthropic/claude-haiku-5-5")
    assert reckoned(Usage(input_tokens=200_000, output_tokens=0), model) == pytest.approx(0.1)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))
def test_caching_never_makes_a_call_dearer(sent: int, cached: int, got: int) -> None:
    plain, with_cache = (
        Usage(input_tokens=sent, output_tokens=got),
        Usage(input_tokens=sent, cached_tokens=cached, output_tokens=got),
    )
    before, after = dollars(plain, LISTED), dollars(with_cache, LISTED)
    assert before is not None
    assert after is not None
    assert 0 <= after <= before + 1e-12


counts = st.one_of(st.none(), st.integers(0, 10**7))


@given(counts, counts, counts, counts, counts)
def test_no_token_is_billed_twice(
    cached: int | None, written: int | None, long: int | None, sound: int | None, image: int | None
) -> None:
    flat = Price(input=1, cached_input=1, cache_write=1, cache_write_long=1, output=1, audio_input=1, image_input=1)
    usage = Usage(
        input_tokens=M,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_long_tokens=long,
        audio_input_tokens=sound,
        image_input_tokens=image,
        output_tokens=0,
    )
    assert dollars(usage, flat) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("amount_usd", "said"),
    [(0, "$0.0000"), (1.5, "$1.5000"), (0.0001, "$0.0001"), (0.00001, "$0.000010"), (2.04e-05, "$0.000020")],
)
def test_a_tiny_amount_is_never_said_to_be_nothing(amount_usd, said):
    assert dollars_in_full(amount_usd) == said
