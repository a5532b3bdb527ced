"""Random samples: even, repeatable, each input once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from firstline.orchestrator.experiments.sampling import sample
from firstline.orchestrator.submission.item_reader import InputItem


def items(count: int, *, kinds: int | None = None) -> list[InputItem]:
    return [InputItem(str(n), {"id": str(n), "text": f"t{n % (kinds or count)}"}) for n in range(count)]


@given(count=st.integers(0, 60), wanted=st.integers(1, 40), kinds=st.integers(1, 60), seed=st.integers(0, 5))
def test_a_sample_holds_as_many_different_inputs_as_there_are_up_to_the_wanted(count, wanted, kinds, seed):
    drawn = sample(items(count, kinds=kinds), wanted, seed=seed)
    texts = [item.input["text"] for item in drawn]
    assert len(texts) == len(set(texts)) == min(wanted, count, kinds)


def test_every_item_is_drawn_equally_often():
    drawn = Counter(item.item_id for seed in range(2000) for item in sample(items(10), 3, seed=seed))
    assert all(500 < drawn[str(n)] < 700 for n in range(10))


def test_the_same_seed_draws_the_same():
    assert sample(items(50), 10, seed=7) == sample(items(50), 10, seed=7) != sample(items(50), 10, seed=8)


def test_unreadable_items_and_those_set_aside_are_not_drawn():
    given_items = [*items(3), InputItem("bad", {}, "line 4 is not valid JSON")]
    assert [item.item_id for item in sample(given_items, 9, seed=0, but=[{"text": "t1"}])] == ["0", "2"]
