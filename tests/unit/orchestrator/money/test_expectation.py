"""The arithmetic of an estimate."""

import pytest

from firstline.orchestrator.money.expectation import (
    ENOUGH,
    Figure,
    Known,
    climbing_of,
    cost,
    length_of,
    mean_of,
    on_top,
    spread,
    total,
)
from firstline.orchestrator.reports.report_text import compared
from firstline.schemas.estimate import Estimate
from firstline.schemas.tier import Price

CHEAP, TOP = Price(input=1, output=2), Price(input=10, output=20)


def sure(value: float) -> Figure:
    return Figure(value, value, value)


def known(**changes: object) -> Known:
    given = {"items": sure(1000), "input_tokens": sure(100), "output_tokens": sure(50), "climbing": sure(0.2)}
    return Known(**{**given, "prices": (CHEAP, TOP), **changes})  # type: ignore[arg-type]


def test_what_climbs_is_paid_on_both_tiers():
    assert cost(known()) == pytest.approx(1000 * (200 + 0.2 * 2000) / 1e6)
    assert known().calls == pytest.approx(1200)
    assert cost(on_top(known())) == pytest.approx(1000 * 2000 / 1e6)


@pytest.mark.parametrize("price", [None, Price(input=1)], ids=["no price", "half a price"])
def test_a_tier_without_a_price_makes_the_estimate_unknown(price):
    assert cost(known(prices=(CHEAP, price))) is None
    assert total([known(), known(prices=(price,))]) is None


def test_what_is_sure_has_no_interval_and_each_doubt_widens_it():
    assert spread(known()) == (0.0, 0.0)
    one = known(climbing=Figure(0.2, 0.1, 0.3))
    assert spread(one) == pytest.approx((0.2, 0.2))
    both = known(climbing=Figure(0.2, 0.1, 0.3), input_tokens=Figure(100, 50, 150))
    assert all(wide > narrow for wide, narrow in zip(spread(both), spread(one), strict=True))
    middle, low, high = total([both]) or (0, 0, 0)
    assert low < middle < high


@pytest.mark.parametrize(
    ("asked", "settled", "share"),
    [
        pytest.param(0, 0, 0.2, id="no history: a guess"),
        pytest.param(ENOUGH - 1, 0, 0.2, id="too little history"),
        pytest.param(200, 150, 0.25, id="history"),
        pytest.param(200, 200, 0.0, id="nothing ever climbed"),
    ],
)
def test_the_share_that_climbs_comes_from_history_once_there_is_enough(asked, settled, share):
    found = climbing_of(asked, settled)
    assert found.value == pytest.approx(share)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (found.high - found.low < 0.2) == (asked >= ENOUGH)


def test_lengths_and_means_carry_their_doubt():
    assert length_of(None, 500).value == length_of(80, 3).value == 200
    assert length_of(80, 500).ends == (80 * 0.85, 80 * 1.15)
    assert mean_of([10, 20, 30]).value == 20
    assert mean_of([10] * 50).ends == (10, 10)
    assert mean_of([]).value == 0


@pytest.mark.parametrize(("cost_usd", "where"), [(1.0, "within"), (0.1, "below"), (9.0, "above")])
def test_an_estimate_is_held_against_what_the_job_cost(cost_usd, where):
    estimate = Estimate(items=3, sampled=3, cost_usd=1.0, low_usd=0.5, high_usd=2.0)
    assert where in compared(estimate, cost_usd)
    assert "unknown" in compared(estimate.evolve(cost_usd=None), cost_usd)
