"""Steps of one item that are out in several batches at once: each is asked by one of them."""

from datetime import UTC, datetime, timedelta

from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.service.sweep import wake_due
from firstline.orchestrator.store.tables import AttemptRow, SubtaskRow
from firstline.schemas.batch import Batch
from firstline.schemas.plan import Step
from firstline.schemas.verdict import Defer, DeferCause, Escalate
from firstline.workers.providers.fake import say
from tests.integration.jobs import answered, begun, change, flying, rows, state, work
from tests.unit.worker_rig import Rig

LATER = Defer(reason="a limit", cause=DeferCause.LIMIT, wait_s=60)
UP = Escalate(reason="no good")
#: Two steps side by side, and one that needs both.
STEPS = [
    Step(name="one", skill="sort"),
    Step(name="two", skill="sort"),
    Step(name="both", skill="sort", after=("one", "two")),
]


def apart(engine: Context) -> tuple[str, dict[str, Batch]]:
    """A job whose item has one step on each tier; its batches by tier."""
    job = begun(engine, 1, steps=STEPS)
    (first,) = flying(engine, job)
    settle_trail(engine, answered(first, lambda _, todo: LATER if todo.step == "one" else UP))
    change(engine, SubtaskRow, {"due_at": datetime.now(UTC) - timedelta(seconds=1)}, job=job, state="deferred")
    wake_due(engine)
    return job, {batch.tier.name: batch for batch in flying(engine, job)}


def test_each_batch_says_which_steps_of_an_item_are_elsewhere(engine: Context):
    _, out = apart(engine)
    assert {tier: (one.work[0].todo[0].step, one.work[0].away) for tier, one in out.items()} == {
        "cheap": ("one", ("two",)),
        "frontier": ("two", ("one",)),
    }


def test_a_worker_asks_what_its_own_batch_holds_and_the_rest_follows_once(engine: Context):
    job, out = apart(engine)
    rig = Rig([say({"label": "x"}), say({"label": "y"})])
    for tier in ("cheap", "frontier"):
        settle_trail(engine, rig.run(out[tier]))
    assert len(rig.calls) == 2
    work(engine, job)
    asked = [(row["step"], row["tier"], row["verdict"]) for row in rows(engine, AttemptRow, job=job)]
    assert sorted(one[:2] for one in asked if one[2] == "accept") == [
        ("both", "cheap"),
        ("one", "cheap"),
        ("two", "frontier"),
    ]
    assert state(engine, job) == "done"
