"""Fallback inside a tier: a model's fault is not the item's, long items find room, a poisonous item is bounded."""

from datetime import UTC, datetime

import pytest

from firstline.orchestrator.run.runner import Stalled, patient
from firstline.schemas.attempt import ErrorKind
from firstline.schemas.batch import Batch, Todo, Work
from firstline.schemas.job import JobState, JobStatus
from firstline.schemas.tier import Model, Tier
from firstline.schemas.verdict import Defer, DeferCause, Escalate
from firstline.workers.providers.gateway import Call, Reply
from firstline.workers.rules.policy import HOPELESS
from tests.unit.worker_rig import A, Gated, Rig, simple, skill

POISON = Reply(error=ErrorKind.SERVER, detail="boom")
TOO_LONG = Reply(error=ErrorKind.CONTEXT_LENGTH, detail="too long")


def tier(**context_tokens: int | None) -> Tier:
    models = tuple(Model(name=name, context_tokens=tokens) for name, tokens in context_tokens.items())
    return Tier(name="cheap", models=models)


def by_model(**replies: Reply) -> Gated:
    return Gated(lambda call: replies[call.model.name])


def come_back(batch: Batch, todo: Todo) -> Batch:
    (work,) = batch.work
    return batch.evolve(work=(Work(item=work.item, item_id=work.item_id, input=work.input, todo=(todo,)),))


@pytest.mark.parametrize(
    ("contexts", "asked"),
    [
        pytest.param({"small": 100, "large": 1000}, ["small", "large"], id="the next has more room"),
        pytest.param({"small": 100, "tiny": 50}, ["small"], id="the next has less"),
        pytest.param({"small": None, "large": None}, ["small", "large"], id="nobody knows"),
    ],
)
def test_an_item_that_is_too_long_goes_to_a_model_with_room(contexts: dict[str, int | None], asked: list[str]) -> None:
    good = Reply(value=A, text='{"label": "a"}')
    rig = Rig(by_model(small=TOO_LONG, large=good, tiny=good))
    trail = rig.item(simple("text", tier=tier(**contexts)))
    assert [call.model.name for call in rig.calls] == asked
    assert bool(trail.settled) == ("large" in asked)
    if not trail.settled:
        assert isinstance(trail.left[0].verdict, Escalate)
        assert "too long" in trail.left[0].verdict.reason


def test_a_model_that_is_surely_too_small_is_not_asked_where_another_has_room() -> None:
    rig = Rig(by_model(small=TOO_LONG, large=Reply(value=A, text='{"label": "a"}')))
    trail = rig.item(simple("word" * 1000, tier=tier(small=100, large=10_000)))
    assert [call.model.name for call in rig.calls] == ["large"]
    assert trail.settled


def test_an_item_that_every_model_fails_on_while_others_are_answered_climbs_after_some_rounds() -> None:
    def reply(call: Call) -> Reply:
        return POISON if "poison" in str(call.messages) else Reply(value=A, text='{"label": "a"}')

    rounds, todo = 0, Todo(step="s")
    rig, batch = Rig(Gated(reply)), simple("poison", tier=tier(m1=None, m2=None))
    while True:
        rounds += 1
        left = rig.item(come_back(batch, todo)).left[0]
        if not isinstance(left.verdict, Defer):
            break
        assert left.verdict.cause is DeferCause.NO_MODEL
        assert left.verdict.wait_s >= 1
        todo = Todo(step="s", n=left.n, used=left.used, faults=left.faults)
    assert rounds == 5
    assert isinstance(left.verdict, Escalate)
    assert "m1: server; m2: server" in left.verdict.reason


@pytest.mark.parametrize("kind", [ErrorKind.AUTH, ErrorKind.QUOTA, ErrorKind.CONNECTION, ErrorKind.NOT_FOUND])
def test_what_no_item_can_bring_about_is_never_held_against_one(kind: ErrorKind) -> None:
    rig = Rig(Gated(lambda call: Reply(error=kind, detail="down")))
    batch = come_back(simple("text"), Todo(step="s", faults=HOPELESS - 1))
    left = rig.item(batch).left[0]
    assert isinstance(left.verdict, Defer)
    assert left.faults == HOPELESS - 1


def test_at_the_top_a_hopeless_item_fails_with_what_the_models_said() -> None:
    one = skill()
    batch = simple("text", of=one, ladder=("cheap",))
    left = Rig(Gated(lambda call: POISON)).item(come_back(batch, Todo(step="s", faults=HOPELESS - 1))).left[0]
    assert left.verdict.kind == "reject"
    assert "again and again" in left.verdict.reason


def status(settled: int = 0, reason: str | None = None, state: JobState = JobState.RUNNING) -> JobStatus:
    return JobStatus(
        job="j", name="n", state=state, reason=reason, items=9, settled=settled, failed=0, created_at=datetime.now(UTC)
    )


@pytest.mark.parametrize(
    ("statuses", "ends"),
    [
        pytest.param([status(reason="down")] * 5, True, id="waits in vain"),
        pytest.param([status()] * 5, False, id="slow, but nothing is wrong"),
        pytest.param([status(settled=n, reason="down") for n in range(5)], False, id="goes on"),
        pytest.param([status(reason="over", state=JobState.PAUSED)] * 5, False, id="paused"),
    ],
)
def test_a_run_gives_up_when_nothing_moves_for_want_of_a_model(statuses: list[JobStatus], ends: bool) -> None:
    ticks = iter(range(0, 1000, 10))
    watched = patient(statuses, limit_s=25, clock=lambda: next(ticks))
    if not ends:
        assert list(watched) == statuses
        return
    with pytest.raises(Stalled, match="down"):
        list(watched)
