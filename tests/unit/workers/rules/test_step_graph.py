"""Which steps come next, in whatever order the others end."""

from hypothesis import given
from hypothesis import strategies as st

from firstline.schemas.plan import PlannedStep, Step
from firstline.workers.rules.step_graph import applies, ready


def planned(name: str, *after: str, when: str | None = None, segment: int = 0) -> PlannedStep:
    return PlannedStep(step=Step(name=name, after=after, when=when), segment=segment, start_tier="cheap")


DIAMOND = (planned("a"), planned("b", "a"), planned("c", "a"), planned("d", "b", "c"))


def names(steps: list[PlannedStep]) -> list[str]:
    return [one.step.name for one in steps]


def test_a_diamond_is_walked_from_its_top_to_its_bottom() -> None:
    assert names(ready(DIAMOND, ended=(), begun=())) == ["a"]
    assert names(ready(DIAMOND, ended={"a"}, begun={"a"})) == ["b", "c"]
    assert names(ready(DIAMOND, ended={"a", "b"}, begun={"a", "b", "c"})) == []
    assert names(ready(DIAMOND, ended={"a", "b", "c"}, begun={"a", "b", "c"})) == ["d"]


def test_what_lies_in_an_earlier_segment_is_not_waited_for() -> None:
    assert names(ready([planned("b", "a")], ended=(), begun=())) == ["b"]


def test_a_condition_decides_whether_a_step_applies() -> None:
    step = planned("b", "a", when="a.label == 'x'")
    assert applies(step, item={}, settled={"a": {"label": "x"}})
    assert not applies(step, item={}, settled={"a": {"label": "y"}})
    assert applies(planned("b"), item={}, settled={})


@given(st.data())
def test_every_step_of_any_graph_becomes_ready_once_and_after_all_that_it_waits_for(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    after = [data.draw(st.sets(st.integers(0, n - 1))) if n else set() for n in range(count)]
    steps = [planned(f"s{n}", *(f"s{one}" for one in sorted(after[n]))) for n in range(count)]
    ended: set[str] = set()
    begun: set[str] = set()
    while found := ready(steps, ended=ended, begun=begun):
        begun |= set(names(found))
        one = data.draw(st.sampled_from(sorted(begun - ended)))
        assert set(next(step.step.after for step in steps if step.step.name == one)) <= ended
        ended.add(one)
        while begun - ended and data.draw(st.booleans()):
            ended.add(data.draw(st.sampled_from(sorted(begun - ended))))
        if not ready(steps, ended=ended, begun=begun) and begun - ended:
            ended |= begun
    assert begun == {f"s{n}" for n in range(count)}
