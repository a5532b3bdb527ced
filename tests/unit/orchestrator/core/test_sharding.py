"""Shards hold every item once, and so few large ones that one may be read whole."""

import pytest

from firstline.orchestrator.core.sharding import (
    SHARD_BYTES,
    SHARD_ITEMS,
    Weights,
    first_item,
    most_out,
    most_together,
    shard_of,
)

MB = 2**20


@pytest.mark.parametrize("size", [SHARD_ITEMS, 20, 4])
def test_every_item_is_in_the_shard_whose_bounds_it_is_within(size: int) -> None:
    for item in range(1000):
        shard = shard_of(item, size)
        assert first_item(shard, size) <= item < first_item(shard + 1, size)
        assert first_item(shard + 1, size) - first_item(shard, size) <= size


def test_steps_of_the_whole_job_have_shard_0() -> None:
    assert [shard_of(-1, size) for size in (SHARD_ITEMS, 20, 4)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("sizes", "items"),
    [
        ([], 200),
        ([1000] * 5000, 200),
        ([SHARD_BYTES // 200] * 400, 200),
        ([MB] * 400, 20),
        ([4 * MB] * 1000, 4),
        # Few large ones far from each other, or among the last of many small ones.
        ([4 * MB if n % 200 == 0 else 100 for n in range(1000)], 200),
        ([100] * 990 + [4 * MB] * 10, 4),
    ],
)
def test_a_shard_holds_fewer_items_where_as_many_as_usual_would_weigh_too_much(sizes: list[int], items: int) -> None:
    weights = Weights()
    for n, size in enumerate(sizes):
        weights.add(n, size)
    assert weights.shard_items == items


def test_large_items_travel_alone_and_few_are_out_and_small_ones_are_not_bounded() -> None:
    assert (most_together(4), most_out(4)) == (1, 32)
    assert (most_together(20), most_out(20)) == (5, 160)
    assert (most_together(SHARD_ITEMS), most_out(SHARD_ITEMS)) == (None, None)
