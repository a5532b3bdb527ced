"""A batch in a worker: every item on its own way, every call on record, nothing paid twice."""

import asyncio

import pytest

from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Left, Todo, Work
from firstline.schemas.policy import Policy
from firstline.schemas.verdict import DeferCause
from firstline.workers.providers.fake import say
from firstline.workers.providers.gateway import Call, Reply
from tests.unit.worker_rig import A, B, Gated, Rig, batch, planned, simple, skill, tier, work

BAD = {"label": "c"}


def shown(call: Call) -> str:
    return str(call.messages[-1]["content"])


def only_left(trail) -> Left:
    (left,) = trail.left
    assert trail.settled == ()
    return left


def test_an_answer_that_passes_its_checks_settles_the_subtask():
    rig = Rig([say(A, cost_usd=0.5)])
    trail = rig.item(simple("x"))
    assert [(one.step, one.n, one.value) for one in trail.settled] == [("s", 0, A)]
    (attempt,) = trail.attempts
    assert (attempt.tier, attempt.model, attempt.cost_usd, attempt.verdict) == ("cheap", "m1", 0.5, "accept")


def test_a_wrong_answer_is_tried_again_with_what_was_wrong_with_it():
    rig = Rig([say(BAD), say(A)])
    trail = rig.item(simple("x"))
    assert [attempt.verdict for attempt in trail.attempts] == ["retry", "accept"]
    assert trail.settled[0].n == 1
    assert "was not accepted" in shown(rig.calls[1])
    assert '"c"' in str(rig.calls[1].messages[-2]["content"])


def test_an_answer_that_stays_wrong_climbs_and_takes_the_feedback_along():
    rig = Rig([say(BAD), say(BAD)])
    left = only_left(rig.item(simple("x")))
    assert (left.verdict.kind, left.n, left.used) == ("escalate", 2, 1)
    assert left.feedback


def test_on_the_top_tier_a_wrong_answer_is_rejected():
    rig = Rig([say(BAD), say(BAD)])
    top = simple("x", tier=tier("big", name="frontier"))
    assert only_left(rig.item(top)).verdict.kind == "reject"


def test_what_was_learnt_below_stands_in_the_first_prompt_above():
    rig = Rig([say(A)])
    todo = Todo(step="s", n=2, feedback=("the label was not in the list",))
    given = simple("x").evolve(work=(Work(item=0, item_id="0", input={"text": "x"}, todo=(todo,)),))
    assert rig.item(given).settled[0].n == 2
    assert "the label was not in the list" in shown(rig.calls[0])


@pytest.mark.parametrize("kind", [ErrorKind.SERVER, ErrorKind.RATE, ErrorKind.TIMEOUT, ErrorKind.AUTH], ids=str)
def test_a_models_own_fault_falls_to_the_next_model_and_costs_no_attempt(kind):
    rig = Rig([Reply(error=kind, detail="away"), say(A)])
    one = skill(policy=Policy(attempts_per_tier=1))
    trail = rig.item(simple("x", of=one, tier=tier("m1", "m2")))
    assert [(attempt.model, attempt.verdict) for attempt in trail.attempts] == [("m1", "fault"), ("m2", "accept")]


def test_when_every_model_of_the_tier_fails_the_subtask_waits_and_has_lost_no_attempt():
    rig = Rig(Gated(lambda _: Reply(error=ErrorKind.QUOTA, detail="used up")))
    left = only_left(rig.item(simple("x", tier=tier("m1", "m2"))))
    assert left.verdict.kind == "defer"
    assert left.verdict.cause is DeferCause.NO_MODEL
    assert left.used == 0
    assert left.n == len(rig.calls)


def test_an_item_goes_on_to_its_next_steps_within_the_same_message():
    one = skill()
    steps = [planned("s", one), planned("t", one, after=["s"]), planned("u", one, after=["t"])]
    trail = Rig([say(A), say(B), say(A)]).item(batch(steps, [one], work("x")))
    assert [(settled.step, settled.value) for settled in trail.settled] == [("s", A), ("t", B), ("u", A)]


def test_an_earlier_answer_is_a_later_steps_input():
    one = skill()
    steps = [planned("s", one), planned("t", one, after=["s"], inputs={"text": "s.label"})]
    rig = Rig([say(B), say(A)])
    rig.item(batch(steps, [one], work("x")))
    assert "\nb\n" in shown(rig.calls[1])


def test_a_step_of_another_tier_is_left_to_the_judge():
    one = skill()
    steps = [planned("s", one), planned("t", one, start="frontier", after=["s"])]
    trail = Rig([say(A)]).item(batch(steps, [one], work("x")))
    assert [settled.step for settled in trail.settled] == ["s"]
    assert trail.left == ()


def test_a_step_that_another_batch_has_is_not_asked_a_second_time():
    one = skill()
    steps = [planned("s", one), planned("t", one), planned("u", one, after=["s"]), planned("v", one, after=["s", "t"])]
    (given,) = work("x")
    trail = Rig([say(A), say(B)]).item(batch(steps, [one], (given.evolve(away=("t",)),)))
    assert [settled.step for settled in trail.settled] == ["s", "u"]
    assert trail.left == ()


def test_a_step_whose_condition_is_false_is_skipped_and_the_one_after_it_runs():
    one = skill()
    steps = [
        planned("s", one),
        planned("t", one, after=["s"], when="s.label == 'b'"),
        planned("u", one, after=["t"]),
    ]
    trail = Rig([say(A), say(B)]).item(batch(steps, [one], work("x")))
    assert [(settled.step, settled.skipped) for settled in trail.settled] == [("s", False), ("t", True), ("u", False)]


def test_an_item_does_not_wait_for_its_neighbour():
    order = []

    async def answer(call):
        slow = "slow" in shown(call)
        await asyncio.sleep(0.2 if slow else 0)
        order.append("slow" if slow else "quick")
        return say(A)

    gateway = Gated(lambda _: say(A))
    gateway.call = answer
    one = skill()
    steps = [planned("s", one), planned("t", one, after=["s"])]
    Rig(gateway).run(batch(steps, [one], work("slow", "quick")))
    assert order == ["quick", "quick", "slow", "slow"]


def test_an_item_that_lacks_an_input_fails_alone_and_is_never_asked():
    rig = Rig(Gated(lambda _: say(A)))
    bad, good = rig.run(simple("", "x")).items
    assert only_left(bad).verdict.kind == "reject"
    assert "text" in only_left(bad).verdict.reason
    assert good.settled
    assert len(rig.calls) == 1


def test_a_bug_fails_its_item_alone_and_keeps_what_was_paid():
    def reply(call):
        if "was not accepted" in shown(call):
            raise RuntimeError("a bug of ours")
        return say(BAD if "bad" in shown(call) else A, cost_usd=0.25)

    bad, good = Rig(Gated(reply)).run(simple("bad", "good")).items
    assert only_left(bad).verdict.kind == "reject"
    assert "RuntimeError" in only_left(bad).verdict.reason
    assert [attempt.cost_usd for attempt in bad.attempts] == [0.25]
    assert good.settled


async def _never(_: Call) -> Reply:
    await asyncio.sleep(60)
    raise AssertionError("nobody cancelled it")


@pytest.mark.parametrize(
    ("stop", "cause"),
    [
        pytest.param(lambda worker: worker.cancel("j1"), DeferCause.CANCELLED, id="job cancelled"),
        pytest.param(
            lambda worker: (setattr(worker, "stopping", True), worker.cancel_all()),
            DeferCause.STOPPING,
            id="worker stopped",
        ),
    ],
)
def test_a_running_call_is_broken_off_and_its_unknown_cost_is_on_record(stop, cause):
    gateway = Gated(lambda _: say(A))
    gateway.call = _never
    (trail,) = Rig(gateway).run(simple("x"), during=stop).items
    assert only_left(trail).verdict.cause is cause
    (attempt,) = trail.attempts
    assert (attempt.cost_usd, attempt.verdict) == (None, "cancelled")
    assert only_left(trail).n == 1


def test_answers_that_were_paid_for_are_found_by_a_repeated_delivery():
    rig = Rig([say(BAD, cost_usd=1.0), say(A, cost_usd=2.0)])
    first = rig.item(simple("x"))
    again = rig.item(simple("x"), resumed=True)
    assert len(rig.calls) == 2
    assert again.attempts == first.attempts
    assert again.settled == first.settled


def test_a_repeated_delivery_pays_only_for_what_is_missing():
    rig = Rig(Gated(lambda _: say(A)))
    rig.run(simple("first"))
    rig.run(simple("first", "second"), resumed=True)
    assert ["second" in shown(call) for call in rig.calls] == [False, True]


def test_the_calls_of_a_tier_in_flight_keep_to_its_concurrency():
    running, most = 0, 0

    async def answer(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return say(A)

    gateway = Gated(lambda _: say(A))
    gateway.call = answer
    Rig(gateway).run(simple(*map(str, range(12)), tier=tier().evolve(concurrency=3)))
    assert most == 3
