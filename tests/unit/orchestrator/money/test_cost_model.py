"""The cost model that decides where subtasks start."""

import pytest

from firstline.orchestrator.money.cost_model import (
    Record,
    Stage,
    TierRecords,
    Tries,
    expected_usd,
    pays_from,
    rerouted,
    weigh,
)
from firstline.schemas.plan import Route


def _record(asked, accepted, usd=1.0, again=(0, 0)):
    return Record(Tries(asked, accepted, asked * usd), Tries(*again, again[0] * usd))


TOP = TierRecords(started=_record(50, 50, usd=3.0))


def _weighed(cheap, *, route=Route(), top=TOP, top_usd=None, pinned=()):  # noqa: B008 - frozen
    found = weigh(("cheap", "top"), {"cheap": cheap, "top": top}, top_usd=top_usd, route=route, pinned=pinned)
    return {one.kind: one for one in found}


def test_a_ladder_costs_each_tier_for_the_share_that_comes_to_it():
    assert expected_usd([Stage("cheap", 1.0, 0.6), Stage("top", 10.0)]) == pytest.approx(5.0)


def test_an_unknown_price_makes_the_expected_cost_unknown():
    assert expected_usd([Stage("cheap", 1.0, 0.6), Stage("top", None)]) is None


def test_a_tier_pays_from_the_share_that_its_price_is_of_what_comes_above():
    assert pays_from(1.0, 3.0) == pytest.approx(1 / 3)


def test_a_tier_that_fails_nearly_always_is_not_started_on():
    found = _weighed(TierRecords(started=_record(40, 2)))["start"]
    assert not found.pays
    assert found.pays_from == pytest.approx(1 / 3)
    assert "cheap was accepted 5% of the time (40 tries); it pays from 33%" in found.figures


def test_a_tier_that_settles_more_than_its_price_is_started_on():
    assert _weighed(TierRecords(started=_record(40, 20)))["start"].pays


def test_too_few_tries_say_nothing():
    assert _weighed(TierRecords(started=_record(5, 0))) == {}


@pytest.mark.parametrize(
    ("asked", "mended", "said"), [(3, 0, None), (4, 0, False), (4, 1, None), (7, 1, None), (8, 1, False)]
)
def test_few_second_tries_tell_only_what_is_clear(asked, mended, said):
    found = _weighed(TierRecords(started=_record(20, 12, again=(asked, mended))))
    assert (found["again"].pays if "again" in found else None) == said


def test_the_top_tier_is_priced_by_its_list_before_it_was_asked():
    cheap = TierRecords(started=_record(40, 2))
    assert _weighed(cheap, top=TierRecords()) == {}
    assert not _weighed(cheap, top=TierRecords(), top_usd=3.0)["start"].pays


def test_a_second_try_that_seldom_mends_is_not_made():
    found = _weighed(TierRecords(started=_record(60, 40, again=(20, 1))))
    assert not found["again"].pays
    assert found["start"].pays
    assert rerouted(Route(), list(found.values())).once == ("cheap",)


def test_a_second_try_that_mends_makes_a_tier_pay_that_would_not_without():
    alone = _weighed(TierRecords(started=_record(200, 50)))["start"]
    mended = _weighed(TierRecords(started=_record(200, 50, again=(150, 140))))["start"]
    assert not alone.pays
    assert mended.pays


def test_a_tier_comes_back_when_it_rather_pays_again():
    off = Route(not_started=("cheap",))
    assert not _weighed(TierRecords(started=_record(60, 19)), route=off)["start"].pays
    better = list(_weighed(TierRecords(started=_record(60, 30)), route=off).values())
    assert rerouted(off, better) == Route()


def test_a_named_tier_stays_pinned():
    assert _weighed(TierRecords(started=_record(40, 2)), pinned=("cheap",)) == {}


def test_a_middle_tier_that_settles_nothing_of_what_climbs_is_passed_by():
    measured = {
        "cheap": TierRecords(started=_record(100, 60, usd=0.1)),
        "middle": TierRecords(climbed=_record(40, 1, usd=1.0)),
        "top": TierRecords(climbed=_record(39, 39, usd=3.0)),
    }
    found = weigh(("cheap", "middle", "top"), measured, top_usd=None, route=Route())
    assert rerouted(Route(), found) == Route(skipped=("middle",))


def test_an_unpriced_tier_moves_nothing():
    assert weigh(("cheap", "top"), {"cheap": TierRecords(started=_record(40, 2))}, top_usd=None, route=Route()) == []
