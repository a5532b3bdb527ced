"""Which answers of earlier jobs still stand, on both databases."""

from datetime import timedelta
from typing import Any

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.service.prune import ENDS, prune
from firstline.orchestrator.store import calibrations
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.quality_tables import CalibrationRow
from firstline.orchestrator.store.tables import ItemRow
from firstline.schemas.job import JobRequest, JobState, Options, Rerun
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import Confidence, Signal
from firstline.schemas.verdict import Escalate
from tests.integration.jobs import PRICE_USD, PROFILE, SKILL, change, rows, state, work

SURE = SKILL.evolve(confidence=(Signal(kind="margin"),))


def run(
    engine: Context, *texts: str, skill: Any = SURE, rerun: Rerun = Rerun.CHANGED, steps: int = 1, **options: Any
) -> str:
    """A job over these texts to its end; those with `hard` in them are answered by the frontier."""
    chain = tuple(Step(name=f"s{n}", skill="sort", after=(f"s{n - 1}",) if n else ()) for n in range(steps))
    request = JobRequest(
        workflow=Workflow(name="w", steps=chain, skills=(skill,)),
        profile=PROFILE,
        options=Options(rerun=rerun, **options),
    )
    job = api.submit(request, [{"id": f"i{n}", "text": text} for n, text in enumerate(texts)])
    start(engine, job)

    def deal(item: int, todo: Any) -> Escalate | None:
        climbs = "hard" in texts[item] and todo.step == "s0" and todo.n == 0
        return Escalate(reason="hard") if climbs else None

    work(engine, job, deal, call=lambda batch: {"confidence": Confidence(signal="margin", value=0.75)})
    assert state(engine, job) == JobState.DONE.value
    return job


def taken(engine: Context, job: str) -> dict[str, str | None]:
    return {row["item_id"]: row["taken_from"] for row in rows(engine, ItemRow, job=job) if row["n"] >= 0}


def certify(engine: Context, threshold: float) -> None:
    with engine.db.writing() as tx:
        calibrations.insert(
            tx,
            row=CalibrationRow(
                skill="sort",
                skill_version=1,
                skill_digest=SURE.digest,
                cheap_model="openai/small",
                frontier_model="openai/large",
                signal="margin",
                method="test",
                threshold=threshold,
                labels_used=100,
                max_loss=0.05,
                certified_max_loss=0.05,
                delta=0.1,
                created_at=now(),
            ),
        )


def test_what_is_as_it_was_is_taken_over_with_its_price_and_its_confidence(engine):
    first = run(engine, "a", "b", "hard c", rerun=Rerun.ALL)
    second = run(engine, "hard c", "a", "new")
    assert taken(engine, second) == {"i0": first, "i1": first, "i2": None}
    found = list(api.results(second))
    before = {one.item_id: one for one in api.results(first)}
    assert (found[0].output, found[0].tier, found[0].confidence) == (before["i2"].output, "frontier", 0.75)
    assert [one.attempts for one in found] == [0, 0, 1]
    report = api.report(second)
    assert (report.taken_over, report.taken_over_usd, report.cost_usd) == (2, 3 * PRICE_USD, PRICE_USD)
    third = run(engine, "hard c", "a", "new")
    assert taken(engine, third) == {"i0": first, "i1": first, "i2": second}
    assert api.report(third).taken_over_usd == 4 * PRICE_USD


def test_equal_rows_take_over_one_answer_and_other_options_find_none(engine):
    run(engine, "a", "b")
    again = run(engine, "a", "a", "a")
    assert [one.output for one in api.results(again)] == [{"label": "s0 of 0"}] * 3
    report = api.report(again)
    assert (report.settled, report.taken_over, report.duplicates, report.cost_usd) == (3, 1, 2, 0)
    for others in ({"tenant": "acme"}, {"tiers": ("frontier",)}, {"rerun": Rerun.ALL}, {"purpose": "baseline"}):
        assert set(taken(engine, run(engine, "a", "b", **others)).values()) == {None}, others
    assert set(taken(engine, run(engine, "a", skill=SURE.evolve(instructions="Another."))).values()) == {None}


def test_rows_whose_certificate_is_another_now_are_answered_again_and_no_others(engine):
    first = run(engine, "a", "hard b")
    certify(engine, 0.5)
    second = run(engine, "a", "hard b")
    assert taken(engine, second) == {"i0": None, "i1": first}
    assert taken(engine, run(engine, "a", "hard b")) == {"i0": second, "i1": first}
    certify(engine, 0.6)
    assert taken(engine, run(engine, "a", "hard b")) == {"i0": None, "i1": first}


def test_of_several_steps_all_that_were_answered_below_must_be_certified_as_they_were(engine):
    first = run(engine, "a", "hard b", steps=2)
    assert taken(engine, run(engine, "a", "hard b", steps=2)) == {"i0": first, "i1": first}
    certify(engine, 0.5)
    assert taken(engine, run(engine, "a", "hard b", steps=2)) == {"i0": None, "i1": None}


def test_an_answer_is_kept_as_long_as_a_job_that_holds_it(engine):
    first = run(engine, "a")
    run(engine, "a")
    assert first in prune(engine, age=timedelta(0), states=ENDS)
    assert taken(engine, run(engine, "a")) == {"i0": None}


@pytest.mark.parametrize("count", [1, 1100])
def test_a_table_of_which_nothing_changed_ends_at_once(engine, count):
    rows_of_it = [{"id": f"i{n}", "text": f"text {n}"} for n in range(count)]
    request = JobRequest(
        workflow=Workflow(name="w", steps=(Step(name="s0", skill="sort"),), skills=(SURE,)), profile=PROFILE
    )
    change(engine, ItemRow, {"state": "settled", "output": {"label": "x"}}, job=api.submit(request, rows_of_it))
    again = run(engine, *(one["text"] for one in rows_of_it))
    assert None not in taken(engine, again).values()
    assert api.status(again).settled == count
