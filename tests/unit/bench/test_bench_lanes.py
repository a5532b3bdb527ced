"""The table of lanes and cache: list prices, the write counted, what does not pay not marked."""

import pytest

from bench.kit.lanes import LANES, MODELS, Work, cost_usd, pays, table
from firstline.schemas.tier import Lane

WORK = Work()
#: gpt-6-luna: $0.10 in, $0.01 cached, $0.125 written, $0.50 out; half of each in batches and on flex.
LUNA = "openai/gpt-6-luna"


@pytest.mark.parametrize(
    ("lane", "cache", "usd"),
    [
        (Lane.STANDARD, False, (4300 * 0.1 + 100 * 0.5) / 1000),
        (Lane.FLEX, False, (4300 * 0.05 + 100 * 0.25) / 1000),
        (Lane.BATCH, False, (4300 * 0.05 + 100 * 0.25) / 1000),
        (
            Lane.STANDARD,
            True,
            (999 * (4000 * 0.01 + 300 * 0.1 + 100 * 0.5) + 4000 * 0.125 + 300 * 0.1 + 100 * 0.5) / 1e6,
        ),
    ],
)
def test_a_job_costs_its_tokens_at_the_price_of_its_lane(lane: Lane, cache: bool, usd: float) -> None:
    assert cost_usd(LUNA, WORK, lane, cache=cache) == pytest.approx(usd)


def test_a_lane_without_a_price_is_left_open() -> None:
    assert cost_usd("deepseek/deepseek-v4-flash", WORK, Lane.FLEX, cache=False) is None
    assert any("–" in line for line in table(WORK))  # noqa: RUF001


@pytest.mark.parametrize(
    ("work", "worth"),
    [
        pytest.param(WORK, True, id="a long prefix and many calls"),
        pytest.param(Work(calls=1), False, id="written and never read"),
        pytest.param(Work(static=500), False, id="too short to be kept"),
    ],
)
def test_writing_costs_more_than_it_saves_where_nothing_is_read(work: Work, worth: bool) -> None:
    assert pays("anthropic/claude-sonnet-5-5", work) is worth


def test_every_model_has_its_line() -> None:
    lines = list(table(WORK))
    assert [line.split()[0] for line in lines[2:]] == list(MODELS)
    assert all(len(line.split()) == 1 + 2 * len(LANES) for line in lines[2:])
