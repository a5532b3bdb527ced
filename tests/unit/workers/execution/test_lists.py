"""A worker goes over the elements of a list as far as its tier answers them."""

from firstline.schemas.plan import Step
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import Gated, Rig, batch, planned, skill, tier, work

LIST = skill(
    name="split",
    output={"type": "object", "properties": {"parts": {"type": "array", "items": {"type": "string"}}}},
)
TEXT = skill(name="say", output={"type": "string"})


def steps(**changes):
    write = planned("write", TEXT, for_each="split.parts", inputs={"text": "each"}, after=("split",), **changes)
    join = planned("join", TEXT, inputs={"text": "write"}, after=("write",))
    return [planned("split", LIST), write, join]


def told(parts, of=None):
    """A model that splits as told, and says after each text what it was shown last."""

    def reply(call: Call) -> Reply:
        if call.schema_name == "split":
            return Reply(text="{}", value={"parts": parts}, finish_reason="stop")
        shown = str(call.messages[-1]["content"])
        return Reply(text=f"said of {shown}", finish_reason="stop")

    rig = Rig(Gated(reply))
    trail = rig.item(batch(of or steps(), [LIST, TEXT], work("x", step="split")))
    return rig, {one.step: one for one in trail.settled}, trail


def test_elements_their_list_and_what_reads_it_are_answered_in_one_batch():
    _, settled, trail = told(["one", "two"])
    assert list(settled) == ["split", "write__each0", "write__each1", "write", "join"]
    assert [("one" in text, "two" in text) for text in settled["write"].value] == [(True, False), (False, True)]
    assert settled["write"].value == [settled["write__each0"].value, settled["write__each1"].value]
    assert [attempt.step for attempt in trail.attempts] == ["split", "write__each0", "write__each1", "join"]
    assert "one" in settled["join"].value


def test_an_empty_list_is_gathered_at_once():
    _, settled, _ = told([])
    assert list(settled) == ["split", "write", "join"]
    assert settled["write"].value == []


def test_a_list_that_will_not_do_is_left_to_the_orchestrators():
    _, settled, trail = told(["a", "b", "c"], steps(at_most=2))
    assert list(settled) == ["split"]
    assert trail.left == ()


def test_a_list_that_does_not_apply_is_skipped_as_a_whole():
    _, settled, _ = told(["a"], steps(when="len(split.parts) > 1"))
    assert settled["write"].skipped
    assert "write__each0" not in settled


def test_elements_that_begin_on_another_tier_are_not_asked_here():
    of = [step.evolve(start_tier="frontier") if step.step.for_each else step for step in steps()]
    _, settled, _ = told(["a", "b"], of)
    assert list(settled) == ["split"]


def test_one_element_alone_comes_back_and_its_list_waits_for_the_others():
    only = batch(
        steps(),
        [LIST, TEXT],
        tuple(
            one.evolve(settled={"split": {"parts": ["a", "b"]}}, away=("write__each0",))
            for one in work("x", step="write__each1")
        ),
        tier=tier(),
    )
    rig = Rig(Gated(lambda call: Reply(text="done", finish_reason="stop")))
    assert [one.step for one in rig.item(only).settled] == ["write__each1"]
    there = only.evolve(
        work=tuple(one.evolve(settled={**one.settled, "write__each0": "A"}, away=()) for one in only.work)
    )
    settled = {one.step: one.value for one in rig.item(there).settled}
    assert settled["write"] == ["A", "done"]


def test_a_step_is_not_changed_by_being_unfolded():
    step = Step(name="write", skill="s", for_each="item.parts")
    assert step.element(0).for_each is None
    assert step.for_each == "item.parts"
