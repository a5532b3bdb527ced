"""The tables of lanes and cache: list prices, writes counted, what does not pay not marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.kit.lanes import LANES, MODELS, CacheUse, Work, cache_use, cost_usd, savings, table
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
    ("work", "use"),
    [
        pytest.param(WORK, CacheUse(written=1, read=999), id="a long prefix and many calls"),
        pytest.param(Work(calls=1), CacheUse(), id="written and never read"),
        pytest.param(Work(static=500), CacheUse(), id="too short to be kept"),
    ],
)
def test_the_cache_is_used_where_the_rule_of_the_workers_says_so(work: Work, use: CacheUse) -> None:
    assert cache_use("anthropic/claude-sonnet-5-5", work, Lane.STANDARD) == use


def test_in_a_batch_most_calls_write_and_few_read() -> None:
    assert cache_use(LUNA, WORK, Lane.BATCH) == CacheUse(written=700, read=300)


@given(st.sampled_from(MODELS), st.sampled_from(LANES), st.integers(1, 2000), st.integers(1, 20_000))
def test_the_cache_never_makes_a_job_dearer(model: str, lane: Lane, calls: int, static: int) -> None:
    work = Work(calls=calls, static=static)
    without, with_cache = (cost_usd(model, work, lane, cache=cache) for cache in (False, True))
    assert without is None or (with_cache is not None and with_cache <= without * (1 + 1e-9))


def test_what_is_saved_is_told_beside_what_it_costs_without() -> None:
    long, short = list(savings({"long": [WORK, WORK], "short": [Work(static=300)]}))[2:]
    assert long.split()[1:4] == ["$15.1808", "of", "$19.2000"]
    assert short.split()[1:4] == ["$0.0000", "of", "$2.2000"]


def test_every_model_has_its_line() -> None:
    lines = list(table(WORK))
    assert [line.split()[0] for line in lines[2:]] == list(MODELS)
    assert all(len(line.split()) == 1 + 2 * len(LANES) for line in lines[2:])
