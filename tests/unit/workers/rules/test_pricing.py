"""What a call cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.attempt import Usage
from firstline.schemas.tier import Model, Price
from firstline.workers.rules.pricing import Cost, cost, dollars

LISTED = Price(input=1, cached_input=0.1, output=4, source="litellm 1")
OWN = Price(input=2, output=8)


def listed(model, tokens):
    return LISTED


def unlisted(model, tokens):
    return None


@pytest.mark.parametrize(
    ("usage", "price", "usd"),
    [
        pytest.param(Usage(input_tokens=1_000_000, output_tokens=0), OWN, 2.0, id="input alone"),
        pytest.param(Usage(input_tokens=0, output_tokens=500_000), OWN, 4.0, id="output alone"),
        pytest.param(
            Usage(input_tokens=1000, cached_tokens=400, output_tokens=100), LISTED, 0.00104, id="cached input"
        ),
        pytest.param(Usage(input_tokens=1000, cached_tokens=400, output_tokens=100), OWN, 0.0028, id="no cached price"),
        pytest.param(
            Usage(input_tokens=10, cached_tokens=50, output_tokens=0), LISTED, 1e-6, id="more cached than sent"
        ),
        pytest.param(Usage(input_tokens=10, output_tokens=5, reasoning_tokens=5), OWN, 6e-5, id="reasoning is output"),
        pytest.param(Usage(input_tokens=10, output_tokens=5), Price(input=1), None, id="output price unknown"),
        pytest.param(Usage(input_tokens=10, output_tokens=0), Price(input=1), 1e-5, id="unknown price not needed"),
        pytest.param(Usage(output_tokens=5), OWN, None, id="input tokens unknown"),
        pytest.param(Usage(), OWN, None, id="nothing known"),
        pytest.param(Usage(input_tokens=10, output_tokens=5), Price(input=0, output=0), 0.0, id="free"),
    ],
)
def test_tokens_cost_what_the_price_per_million_says(usage, price, usd):
    assert dollars(usage, price) == (None if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("model", "lookup", "expected"),
    [
        pytest.param(Model(name="a", price=OWN), listed, Cost(3.0, "profile"), id="the profile overrides the list"),
        pytest.param(Model(name="a"), listed, Cost(1.5, "litellm 1"), id="the list where the profile is silent"),
        pytest.param(Model(name="a"), unlisted, Cost(None, None), id="unknown"),
    ],
)
def test_the_source_of_a_price_is_told(model, lookup, expected):
    assert cost(Usage(input_tokens=500_000, output_tokens=250_000), model, lookup) == expected


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**6))
def test_caching_never_makes_a_call_dearer(sent, cached, got):
    plain = dollars(Usage(input_tokens=sent, output_tokens=got), LISTED)
    cheaper = dollars(Usage(input_tokens=sent, cached_tokens=cached, output_tokens=got), LISTED)
    assert plain is not None
    assert cheaper is not None
    assert 0 <= cheaper <= plain + 1e-12
