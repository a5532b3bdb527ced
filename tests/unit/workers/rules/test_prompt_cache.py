"""Whether a static part is marked: only where its reads save more than its writes cost, and the provider keeps it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstline.config.providers.prices import price_of
from firstline.config.providers.prompt_caches import cache_of
from firstline.schemas.attempt import Usage
from firstline.schemas.tier import CacheMarks, Model, Price, PromptCache, Rates
from firstline.workers.rules.pricing import dollars
from firstline.workers.rules.prompt_cache import LEFT_ALONE, CachePlan, Prefix, plan

MARKS = PromptCache(marks=CacheMarks.CACHE_CONTROL, min_tokens=1024)
BREAKS = PromptCache(marks=CacheMarks.BREAKPOINT, min_tokens=1024)
HAIKU = Rates(input=0.1, cached_input=0.01, cache_write=0.125, output=0.5)
MARKED, KEPT_OFF = CachePlan(mark=True, warm=True), CachePlan(mark=False)


@pytest.mark.parametrize(
    ("cache", "price", "prefix", "chosen"),
    [
        pytest.param(MARKS, HAIKU, Prefix(4000, 1), MARKED, id="one read pays for a write"),
        pytest.param(MARKS, HAIKU, Prefix(4000, 0), LEFT_ALONE, id="written and never read"),
        pytest.param(MARKS, HAIKU, Prefix(1023, 100), LEFT_ALONE, id="too short to be kept"),
        pytest.param(MARKS, HAIKU, Prefix(4000, 0, is_alive=True), CachePlan(mark=True), id="it is there already"),
        pytest.param(
            MARKS, Rates(input=1, output=2), Prefix(4000, 9), LEFT_ALONE, id="nobody knows what a write costs"
        ),
        pytest.param(MARKS, None, Prefix(4000, 9), LEFT_ALONE, id="no price at all"),
        pytest.param(MARKS, HAIKU, Prefix(4000, 99, hits=0.3), MARKED, id="a batch that finds 30%"),
        pytest.param(MARKS, HAIKU, Prefix(4000, 99, hits=0.2), LEFT_ALONE, id="a batch that finds 20%"),
        pytest.param(
            MARKS, HAIKU.evolve(cache_write=0.0), Prefix(4000, 1), CachePlan(mark=True), id="writes for nothing"
        ),
        pytest.param(BREAKS, HAIKU, Prefix(4000, 1), MARKED, id="a breakpoint"),
        pytest.param(BREAKS, HAIKU, Prefix(4000, 0), KEPT_OFF, id="no whole prompts either"),
        pytest.param(PromptCache(), HAIKU, Prefix(4000, 99), LEFT_ALONE, id="it works by itself"),
        pytest.param(None, HAIKU, Prefix(4000, 99), LEFT_ALONE, id="there is none"),
    ],
)
def test_what_is_done_about_the_cache(
    cache: PromptCache | None, price: Rates | None, prefix: Prefix, chosen: CachePlan
) -> None:
    assert plan(cache, price, prefix) == chosen


RATE = st.floats(0.01, 100)


@given(RATE, RATE, RATE, st.integers(0, 200), st.integers(0, 200), st.integers(1024, 50_000))
def test_what_is_marked_costs_less_than_what_is_not_and_what_would_is_marked(
    sent: float, read: float, written: float, found: int, missed: int, tokens: int
) -> None:
    """By the bill: `found` calls read the prefix, one and `missed` others write it; nothing else is paid."""
    price = Rates(input=sent, cached_input=read, cache_write=max(sent, written), output=0.0)
    reads = found + missed
    prefix = Prefix(tokens, reads, hits=found / reads if reads else 1.0)

    def bill(calls: int, **kinds: int) -> float:
        cost = dollars(Usage(input_tokens=tokens, output_tokens=0, **kinds), price)
        assert cost is not None
        return calls * cost

    marked = bill(1 + missed, cache_write_tokens=tokens) + bill(found, cached_tokens=tokens)
    unmarked = bill(1 + reads)
    is_marked = plan(MARKS, price, prefix).mark is True
    if abs(marked - unmarked) > 1e-9 * unmarked:
        assert is_marked is (marked < unmarked)


@given(st.integers(0, 10_000), st.integers(0, 100), st.booleans())
def test_more_reads_never_unmark(tokens: int, reads: int, alive: bool) -> None:
    less, more = (plan(MARKS, HAIKU, Prefix(tokens, n, is_alive=alive)).mark is True for n in (reads, reads + 1))
    assert less <= more


@pytest.mark.parametrize(
    ("name", "marks", "minimum"),
    [
        ("anthropic/claude-haiku-5-5", CacheMarks.CACHE_CONTROL, 512),
        ("anthropic/claude-haiku-4-5", CacheMarks.CACHE_CONTROL, 4096),
        ("anthropic/claude-of-next-year", CacheMarks.CACHE_CONTROL, 4096),
        ("bedrock/us.anthropic.claude-sonnet-4-6", CacheMarks.CACHE_CONTROL, 1024),
        ("openai/gpt-6-luna", CacheMarks.BREAKPOINT, 1024),
        ("openai/gpt-4o-mini", CacheMarks.AUTOMATIC, 1024),
        ("gemini/gemini-3.1-pro-preview", CacheMarks.AUTOMATIC, 4096),
        ("deepseek/deepseek-v4-flash", CacheMarks.AUTOMATIC, 1024),
    ],
)
def test_each_providers_cache_is_known(name: str, marks: CacheMarks, minimum: int) -> None:
    cache = cache_of(Model(name=name))
    assert cache is not None
    assert (cache.marks, cache.min_tokens) == (marks, minimum)


def test_the_profile_wins_and_a_server_of_ones_own_is_told_of_no_breakpoints() -> None:
    own = Model(name="openai/gpt-6-luna", api_base="http://localhost:8000/v1")
    assert cache_of(own) == PromptCache()
    assert cache_of(own.evolve(prompt_cache=BREAKS)) == BREAKS
    assert cache_of(Model(name="hosted_vllm/own")) is None


@pytest.mark.parametrize("name", ["anthropic/claude-haiku-5-5", "openai/gpt-6-luna"])
def test_at_list_prices_one_read_is_enough(name: str) -> None:
    model = Model(name=name)
    price = price_of(model)
    assert isinstance(price, Price)
    assert plan(cache_of(model), price, Prefix(4000, 1)).mark is True
