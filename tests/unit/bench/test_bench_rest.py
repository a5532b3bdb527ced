"""What rounds of chaos leave behind: a process that holds more and more is named."""

import pytest

from bench.chaos.rest import Footprint, Rest, rise


def rests(**counts: list[int]) -> list[Rest]:
    rounds = zip(*counts.values(), strict=True)
    return [
        Rest(0, 0, 0, {name: Footprint(1, count, 1) for name, count in zip(counts, one, strict=True)}) for one in rounds
    ]


@pytest.mark.parametrize(
    ("counts", "more"),
    [
        ({"a": [10, 10], "b": [5, 9]}, (4, "b")),
        ({"a": [10, 12, 14, 16, 18], "b": [5, 5, 5, 5, 5]}, (4, "a")),
        # A pool that was full once is no leak.
        ({"a": [10, 30, 12, 30, 11]}, (-19, "a")),
    ],
)
def test_the_process_that_holds_most_more_is_told(counts: dict[str, list[int]], more: tuple[int, str]) -> None:
    assert rise(rests(**counts), "connections") == more
