"""A reviewer looks while its step goes on, and what it calls wrong is asked again before all is done."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import settle_trail, start
from firstline.orchestrator.experiments.improve import reviewers_rules
from firstline.orchestrator.quality import looks
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.tables import AttemptRow, ItemRow, JobRow, SubtaskRow
from firstline.schemas.plan import Step, StepKind
from tests.integration.jobs import PRICE_USD, SKILL, answered, begun, change, cut, flying, rows, state, work

FEEDBACK = "Mark only the number."


@pytest.fixture(autouse=True)
def own_api(engine, monkeypatch) -> None:
    monkeypatch.setattr(api, "engine", lambda: engine)


def reviewed(engine, **options) -> str:
    review = Step(name="review", kind=StepKind.CHECKPOINT, reviews="s0", scope="job", every=10)
    return begun(engine, 60, steps=[Step(name="s0", skill="sort"), review], **options)


def answer_first_shard(engine, job: str) -> None:
    for batch in flying(engine, job):
        if batch.shard == 0:
            settle_trail(engine, answered(batch))


def hear(engine, job: str, **said) -> str:
    """Let the reviewer say something at the newest look."""
    with engine.db.reading() as tx:
        made = [row["data"]["look"] for row in decisions.of(tx, job=job, kind="look") if row["choice"] == "asked"]
    start(engine, made[-1])
    cut(engine, made[-1])
    work(engine, made[-1])
    change(engine, ItemRow, {"output": {"decision": "proceed", "reason": "-", **said}}, job=made[-1])
    looks.look(engine, job)
    return made[-1]


def heard(engine, job: str) -> list[dict]:
    with engine.db.reading() as tx:
        return [dict(row) for row in decisions.of(tx, job=job, kind="look") if row["choice"] == "heard"]


def asked_of(engine, job: str) -> dict[int, int]:
    found = rows(engine, AttemptRow, job=job, step="s0")
    return {n: sum(row["item"] == n for row in found) for n in range(60)}


def test_what_a_look_calls_wrong_is_asked_again_while_the_step_goes_on_and_nothing_else(engine):
    job = reviewed(engine)
    looks.look(engine, job)
    assert heard(engine, job) == [], "nothing to look at yet"
    answer_first_shard(engine, job)
    looks.look(engine, job)
    with engine.db.reading() as tx:
        shown = decisions.of(tx, job=job, kind="look")[0]["data"]["shown"]
    look = hear(engine, job, wrong=[{"id": shown[0], "why": "-"}, {"id": "i59", "why": "never shown"}])
    assert rows(engine, JobRow, id=look)[0]["purpose"] == "look"
    assert [one["id"] for one in rows(engine, ItemRow, job=look)[0]["input"]["outputs"]] == shown
    (found,) = heard(engine, job)
    assert (len(shown), found["data"]["wrong"], found["data"]["again"]) == (10, shown[:1], 1)
    assert found["reason"].startswith("1 of 10 answers shown so far are wrong (")
    work(engine, job)
    assert state(engine, job) == "done"
    assert api.report(job).audit_cost_usd == PRICE_USD, "the look is in the total"
    assert asked_of(engine, job) == {n: 1 + (f"i{n}" == shown[0]) for n in range(60)}


def test_feedback_of_a_look_reaches_what_is_asked_again_and_the_improver(engine):
    job = reviewed(engine, tenant="a")
    answer_first_shard(engine, job)
    looks.look(engine, job)
    with engine.db.reading() as tx:
        (asked,) = decisions.of(tx, job=job, kind="look")
    named = asked["data"]["shown"][:2]
    hear(engine, job, decision="restart", redo=named, feedback=FEEDBACK)
    numbers = [int(one[1:]) for one in named]
    told = {row["item"]: row["feedback"] for row in rows(engine, SubtaskRow, job=job, step="s0") if row["feedback"]}
    assert told == {n: [f"a reviewer of many answers found: {FEEDBACK}"] for n in numbers}
    change(engine, AttemptRow, {"skill": "sort"}, job=job, step="s0")
    assert reviewers_rules(SKILL, tenant="a") == [FEEDBACK]
    looks.look(engine, job)
    with engine.db.reading() as tx:
        second = [row for row in decisions.of(tx, job=job, kind="look") if row["choice"] == "asked"][1:]
    assert not {one for row in second for one in row["data"]["shown"]} & set(asked["data"]["shown"]), "others each time"
    work(engine, job)
    assert state(engine, job) == "done"
    assert [n for n, times in asked_of(engine, job).items() if times == 2] == sorted(numbers)


def test_a_job_with_a_budget_of_its_own_keeps_it_for_its_items(engine):
    job = reviewed(engine, budget_usd=50.0)
    answer_first_shard(engine, job)
    looks.look(engine, job)
    with engine.db.reading() as tx:
        assert decisions.of(tx, job=job, kind="look") == []
