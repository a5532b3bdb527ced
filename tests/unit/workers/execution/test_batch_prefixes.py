"""Static parts in a provider batch: grouped, and marked where three calls in ten that find them pay for the rest."""

import pytest

from firstline.schemas.tier import CacheMarks, Model, Price, PromptCache
from firstline.workers.execution.batch_prefixes import by_prefix
from firstline.workers.providers.gateway import Call

MODEL = Model(
    name="openai/m",
    price=Price(input=1, cached_input=0.1, cache_write=1.25, output=5),
    prompt_cache=PromptCache(marks=CacheMarks.CACHE_CONTROL, min_tokens=1024),
)
LONG, SHORT = ({"role": "system", "content": "word " * words} for words in (2000, 20))


def call(system: dict[str, object], model: Model = MODEL) -> Call:
    return Call(model, (system, {"role": "user", "content": "an item"}), static=1)


def test_calls_with_the_same_static_part_follow_each_other() -> None:
    calls = {f"{n}-{name}": call(system) for n in range(3) for name, system in (("a", LONG), ("b", SHORT))}
    assert list(by_prefix(calls)) == ["0-a", "1-a", "2-a", "0-b", "1-b", "2-b"]


@pytest.mark.parametrize(
    ("system", "count", "cached"),
    [
        pytest.param(LONG, 50, True, id="long, and many"),
        pytest.param(LONG, 2, None, id="long, and few"),
        pytest.param(SHORT, 50, None, id="short"),
    ],
)
def test_only_what_pays_is_marked(system: dict[str, object], count: int, cached: bool | None) -> None:
    found = by_prefix({str(n): call(system) for n in range(count)})
    assert {one.cached for one in found.values()} == {cached}


def test_at_writes_for_twice_the_price_a_batchs_cache_does_not_pay() -> None:
    dear = MODEL.evolve(price=Price(input=1, cached_input=0.1, cache_write=2.0, output=5))
    assert {one.cached for one in by_prefix({str(n): call(LONG, dear) for n in range(50)}).values()} == {None}
