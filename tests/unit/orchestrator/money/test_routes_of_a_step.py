"""Where the items of a step go under a route."""

from firstline.schemas.plan import EVERY, PlannedStep, Route, Step
from firstline.schemas.policy import Policy

LADDER = ("cheap", "middle", "top")


def _planned(**route):
    step = Step(name="label", skill="label")
    return PlannedStep(step=step, segment=0, start_tier="cheap", policy=Policy(), route=Route(**route))


def test_without_a_route_items_start_on_the_declared_tier():
    assert {_planned().start_of(n, LADDER) for n in range(200)} == {"cheap"}


def test_where_starting_does_not_pay_all_but_a_small_share_start_above():
    starts = [_planned(not_started=("cheap",)).start_of(n, LADDER) for n in range(5000)]
    assert set(starts) == {"cheap", "middle"}
    assert 0.02 < starts.count("cheap") / 5000 < 0.04


def test_the_top_tier_is_always_there_to_start_on_and_to_climb_to():
    planned = _planned(not_started=LADDER, skipped=LADDER, explored=0.0)
    assert planned.start_of(1, LADDER) == "top"
    assert planned.ladder_of(1, LADDER) == ("top",)


def test_what_climbs_passes_a_useless_middle_by():
    assert _planned(skipped=("middle",), explored=0.0).ladder_of(7, LADDER) == ("cheap", "top")


def test_a_second_try_is_left_out_where_it_does_not_mend():
    planned = _planned(once=("cheap",), explored=0.0)
    assert planned.attempts_on("cheap", 3) == 1
    assert planned.attempts_on("middle", 3) == 2


def test_the_step_in_general_explores_nothing():
    assert _planned(not_started=("cheap",), explored=1.0).start_of(EVERY, LADDER) == "middle"


def test_auto_is_the_same_as_naming_no_tier():
    assert Policy(start="auto") == Policy()
