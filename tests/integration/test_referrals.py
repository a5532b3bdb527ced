"""What nobody could answer is put to the orchestrator model, and its word is carried out, whatever breaks meanwhile."""

from typing import Any

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.core.context import Context
from firstline.orchestrator.engine.lifecycle import start
from firstline.orchestrator.store.tables import AttemptRow, SubtaskRow
from firstline.schemas.job import ItemState, JobRequest, Options
from firstline.schemas.plan import Step, Workflow
from firstline.schemas.policy import LastResort, Policy
from firstline.schemas.verdict import Refer
from tests.integration.jobs import PROFILE, SKILL, money, rows, state
from tests.integration.played import NO, decided, play

REFER = Refer(reason="failed schema; 2 of 2 attempts used")


def submitted(rounds: int = 1) -> str:
    policy = Policy(last_resort=LastResort.REFER, refer_rounds=rounds)
    workflow = Workflow(name="w", steps=(Step(name="label", skill="sort", policy=policy),), skills=(SKILL,))
    request = JobRequest(workflow=workflow, profile=PROFILE, options=Options(dedupe=False))
    job = api.submit(request, ({"id": f"i{n}", "text": f"text {n}"} for n in range(3)))
    start(api.engine(), job)
    return job


def hard(said: Any, *, easy_when: Any = lambda todo: todo.instruction) -> Any:
    """Item 1 is hard: it is referred until `easy_when` holds; `said` is the orchestrator model's word."""

    def say(work: Any, todo: Any) -> Any:
        if "__refer" in todo.step:
            return said
        return {"label": "x"} if work.item != 1 or easy_when(todo) else REFER

    return say


def test_a_revised_instruction_is_tried_and_the_word_is_on_record_and_paid(engine: Context):
    job = submitted()
    played = play(engine, job, hard({"decision": "revise", "reason": "vague", "instruction": "Say x."}))
    seen = played.of("label__refer0")[0][1].input
    assert seen["task"]["instructions"] == "Classify."
    assert seen["inputs"] == {"text": "text 1"}
    assert seen["failures"][0]["reason"] == REFER.reason
    assert seen["tiers"] == ["cheap", "frontier"]
    assert state(engine, job) == "done"
    assert [one.status for one in api.results(job)] == [ItemState.SETTLED] * 3
    assert decided(engine, job) == [("openai/large", "revise")]
    purposes = [row["purpose"] for row in rows(engine, AttemptRow, job=job, item=1)]
    assert sorted(purposes) == ["answer", "answer", "refer"]
    assert money(engine, job) == (5, 1.25)


def test_a_split_subtask_is_answered_in_parts(engine: Context):
    job = submitted()
    word = {"decision": "split", "reason": "long", "parts": ["first", "second"]}
    played = play(engine, job, hard(word))
    # The parts do not depend on each other: either may be asked first.
    assert sorted(todo.instruction for _, _, todo in played.asked if "__part" in todo.step) == ["first", "second"]
    assert '[{"label": "x"}, {"label": "x"}]' in played.of("label")[-1][2].instruction
    assert [one.status for one in api.results(job)] == [ItemState.SETTLED] * 3


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        pytest.param({"decision": "give_up", "reason": "no date"}, ItemState.FAILED, "no date", id="give up"),
        pytest.param({"decision": "person", "reason": "unclear"}, ItemState.REVIEW, "unclear", id="person"),
        pytest.param(NO, ItemState.FAILED, "gave no usable answer", id="no answer"),
        pytest.param({"decision": "revise", "reason": "r", "instruction": ""}, ItemState.FAILED, "1 of 1", id="bound"),
    ],
)
def test_the_item_ends_alone_with_the_reason(engine: Context, word: Any, status: ItemState, reason: str):
    job = submitted()
    play(engine, job, hard(word, easy_when=lambda todo: False))
    results = list(api.results(job))
    assert results[1].status is status
    assert reason in str(results[1].reason)
    assert [results[0].status, results[2].status] == [ItemState.SETTLED] * 2


def test_a_referral_may_be_asked_again_where_the_policy_allows_it(engine: Context):
    job = submitted(rounds=2)
    played = play(
        engine,
        job,
        hard({"decision": "tier", "reason": "r", "tier": "cheap"}, easy_when=lambda todo: todo.n == 2),
    )
    assert played.steps() == ["label", "label__refer0", "label__refer1"]
    assert [one.status for one in api.results(job)] == [ItemState.SETTLED] * 3
    assert rows(engine, SubtaskRow, job=job, item=1, step="label")[0]["referrals"] == 2
