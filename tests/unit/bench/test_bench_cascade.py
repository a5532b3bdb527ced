"""The cascade bench: five ways from three runs of the same items."""

import pytest

from bench.cascade import Item, compare, oracle, table

CHEAP = {"a": Item(1, 0.01, False), "b": Item(0, 0.01, False), "c": Item(0, 0.01, False), "d": Item(1, 0.01, False)}
TOP = {"a": Item(1, 1.0, True), "b": Item(1, 1.0, True), "c": Item(0, 1.0, True), "d": Item(0, 1.0, True)}
OURS = {"a": Item(1, 0.01, False), "b": Item(1, 1.01, True), "c": Item(0, 0.01, False), "d": Item(1, 0.01, False)}


def methods(runs=None):
    return compare(runs or {"cheap": CHEAP, "frontier": TOP, "ours": OURS})["methods"]


def test_accuracy_cost_and_share_are_those_of_the_runs():
    found = methods()
    assert (found["cheap"]["accuracy"], found["cheap"]["frontier_share"]) == (0.5, 0)
    assert (found["frontier"]["cost_usd"], found["frontier"]["of_frontier"]) == (4.0, 1.0)
    assert found["ours"] == pytest.approx({**found["ours"], "accuracy": 0.75, "cost_usd": 1.04, "frontier_share": 0.25})


def test_random_routing_mixes_both_ends_at_our_share():
    found = methods()["random"]
    assert found["accuracy"] == pytest.approx(0.75 * 0.5 + 0.25 * 0.5)
    assert found["cost_usd"] == pytest.approx(0.75 * 0.04 + 0.25 * 4.0)


def test_the_oracle_pays_the_frontier_only_where_it_alone_is_right():
    found = methods()["oracle"]
    assert (found["accuracy"], found["frontier_share"], found["cost_usd"]) == (0.75, 0.25, pytest.approx(1.03))
    assert oracle(CHEAP["c"], TOP["c"]).frontier is False


def test_items_that_a_run_lacks_count_for_none():
    found = compare({"cheap": CHEAP, "frontier": TOP, "ours": {key: OURS[key] for key in "ab"}})
    assert found["items"] == 2


def test_targets_and_table_say_how_ours_stands():
    found = compare({"cheap": CHEAP, "frontier": TOP, "ours": OURS})
    assert [target["met"] for target in found["targets"]] == [True, True]
    assert "ours minus frontier: +25.0 points" in table(found)
