"""The arithmetic of an estimate."""

import pytest

from firstline.orchestrator.reports.report_text import compared
from firstline.schemas.estimate import Estimate
from firstline.schemas.skill import Skill
from firstline.schemas.tier import Price
from firstline.workers.estimates.answer_guess import answer_length
from firstline.workers.estimates.expectation import Rung, Share, Spread, StepLoad, expected, mean_of

CHEAP, TOP = Price(input=1, output=2), Price(input=10, output=20)
SURELY, NEVER = Share(1e6, 1), Share(1, 1e6)
COUNT = 100_000.0


def rung(price=CHEAP, accepted=SURELY, **more):
    sure = {"ratio": Spread(1.0), "answer": Spread(50.0), "mended": SURELY}
    return Rung(more.pop("tier", "t"), more.pop("model", "m"), price, accepted=accepted, **{**sure, **more})


def load(*rungs, **more):
    return StepLoad(more.pop("step", "s"), more.pop("count", COUNT), Spread(100.0), rungs, **more)


def usd(*loads):
    found = expected(loads)
    assert found is not None
    return found.usd / COUNT * 1e6


def test_what_climbs_is_paid_on_both_tiers():
    climbing = load(rung(accepted=Share(8e5, 2e5)), rung(TOP))
    assert usd(climbing) == pytest.approx(200 + 0.2 * 2000, rel=0.02)
    figures = expected([climbing])
    assert figures.steps["s"].climbing == pytest.approx(0.2, abs=0.01)
    assert figures.steps["s"].calls == pytest.approx(1.2 * COUNT, rel=0.02)
    assert figures.top_usd / COUNT * 1e6 == pytest.approx(2000, rel=0.02)


def test_a_retry_is_paid_on_the_tier_where_it_is_made_and_nowhere_else():
    half = rung(accepted=Share(5e5, 5e5), attempts=2)
    assert usd(load(half, rung(TOP))) == pytest.approx(1.5 * 200, rel=0.02)
    assert usd(load(rung(), rung(TOP, accepted=NEVER, attempts=3))) == pytest.approx(200, rel=0.02)
    assert usd(load(rung(accepted=NEVER), rung(TOP, accepted=NEVER, mended=NEVER, attempts=3))) == pytest.approx(
        200 + 3 * 2000, rel=0.02
    )


def test_what_is_unsure_climbs_without_a_second_try():
    unsure = rung(accepted=SURELY, sure=Share(5e5, 5e5), attempts=2)
    assert usd(load(unsure, rung(TOP))) == pytest.approx(200 + 0.5 * 2000, rel=0.02)


def test_a_job_that_may_move_leaves_a_tier_that_does_not_pay_and_a_pinned_one_does_not():
    useless = rung(Price(input=5, output=10), accepted=NEVER)
    pinned, moving = load(useless, rung(TOP)), load(useless, rung(TOP), moves=True)
    assert usd(pinned) == pytest.approx(1000 + 2000, rel=0.02)
    assert usd(moving) == pytest.approx(2000 + 0.03 * 1000, rel=0.02)
    few = expected([load(useless, rung(TOP), moves=True, count=20.0)])
    assert few.usd / 20 * 1e6 == pytest.approx(3000, rel=0.05)


def test_a_tier_that_was_left_before_is_hardly_asked():
    left = rung(Price(input=0.1, output=0.1), accepted=SURELY, is_left=True, is_known=True)
    assert usd(load(left, rung(TOP), moves=True)) == pytest.approx(0.97 * 2000, rel=0.03)


def test_audits_are_paid_at_the_top_tiers_price_for_what_was_accepted_below_it():
    assert usd(load(rung(), rung(TOP), audited=0.1)) == pytest.approx(200 + 0.1 * 2000, rel=0.02)
    assert usd(load(rung(TOP), audited=0.1)) == pytest.approx(2000, rel=0.02)


def test_a_prompt_grows_with_the_answers_that_it_takes_over():
    first = load(rung(), step="a")
    second = load(rung(), step="b", carried={"a": 300.0})
    assert usd(first, second) == pytest.approx(200 + 500, rel=0.02)


def test_what_steers_is_no_part_of_the_top_tier_alone():
    assert expected([load(rung(TOP), steers=True)]).top_usd == 0


def test_what_a_review_asks_again_is_in_it():
    once, reviewed = load(rung(), step="a"), load(rung(), step="r", count=1.0, reviews="a", rounds=1, steers=True)
    assert usd(once, reviewed) > 1.1 * usd(once)


@pytest.mark.parametrize("price", [None, Price(input=1)], ids=["no price", "half a price"])
def test_a_tier_without_a_price_makes_the_estimate_unknown(price):
    assert expected([load(rung(), rung(price))]) is None


def test_each_doubt_widens_the_interval_and_the_figures_are_the_same_every_time():
    def width(*loads):
        found = expected(loads)
        assert found.low_usd < found.usd < found.high_usd
        return (found.high_usd - found.low_usd) / found.usd

    sure, unsure = load(rung(), rung(TOP)), load(rung(accepted=Share(4, 1)), rung(TOP))
    long = load(rung(accepted=Share(4, 1), answer=Spread(50.0, 0.9)), rung(TOP))
    assert width(sure) < 0.25 < width(unsure) < width(long)
    assert expected([long]) == expected([long])


def test_more_tries_make_a_share_surer_up_to_what_other_items_may_change():
    guess = Share(1.0, 0.5)
    assert guess.seen(15, 20).mean == pytest.approx(16 / 21.5)
    assert guess.seen(150, 200).hits == pytest.approx(1 + 150 * 0.75)
    assert guess.seen(75_000, 100_000).hits == pytest.approx(guess.seen(150, 200).hits)


def test_means_carry_their_doubt():
    assert mean_of([10, 20, 30]).value == 20
    assert mean_of([10] * 50) == Spread(10, 0.0)
    assert mean_of([]).value == 0
    assert mean_of([10]).off > mean_of([10, 12]).off > 0


def skill(output, **more):
    return Skill.model_validate({"name": "s", "instructions": "x", "input": {"text": {}}, "output": output, **more})


def test_an_answers_length_is_guessed_from_its_examples_or_its_form():
    label = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}}
    closed, text = answer_length(skill(label)), answer_length(skill({"type": "string"}))
    assert closed.value < 10
    assert text.value > 100
    assert closed.off < text.off
    by_example = answer_length(skill({"type": "string"}, examples=[{"input": {"text": "x"}, "output": "word " * 400}]))
    assert by_example.value == pytest.approx(500)
    assert closed.off < by_example.off < text.off


@pytest.mark.parametrize(("cost_usd", "where"), [(1.0, "within"), (0.1, "below"), (9.0, "above")])
def test_an_estimate_is_held_against_what_the_job_cost(cost_usd, where):
    estimate = Estimate(items=3, sampled=3, cost_usd=1.0, low_usd=0.5, high_usd=2.0)
    assert where in compared(estimate, cost_usd)
    assert "unknown" in compared(estimate.evolve(cost_usd=None), cost_usd)
