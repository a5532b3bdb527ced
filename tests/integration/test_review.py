"""What a policy sends to a person waits, and the person's word settles it."""

import pytest

from firstline.orchestrator.engine import review
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.tables import ItemRow
from firstline.schemas.errors import UserError
from firstline.schemas.verdict import Review
from tests.integration.jobs import begun, flying, rows, state, work

ASK = Review(reason="the top tier failed too")


def waiting_job(engine, count: int = 2, **options) -> str:
    job = begun(engine, count, **options)
    work(engine, job, lambda item, todo: ASK if todo.step == "s0" else None)
    return job


def test_what_waits_is_listed_and_shown_with_all_that_a_person_needs(engine):
    job = waiting_job(engine)
    assert [(one.item_id, one.step, one.reason) for one in review.waiting(engine, job=job)] == [
        ("i0", "s0", ASK.reason),
        ("i1", "s0", ASK.reason),
    ]
    asked = review.question(engine, job=job, item_id="i0")
    assert (asked.skill, asked.inputs, asked.is_text) == ("sort", {"text": "text 0"}, False)
    assert asked.output["required"] == ["label"]
    assert [one.model for one in asked.refused] == ["openai/small"]


def test_an_answer_settles_the_item_ends_the_job_and_joins_the_gold_set(engine):
    job = waiting_job(engine)
    said = review.answer(engine, job=job, item_id="i0", value={"label": "a"}, note="plain")
    assert (said.state, said.goes_on, state(engine, job)) == ("settled", False, "running")
    review.answer(engine, job=job, item_id="i1", value={"label": "b"})
    assert state(engine, job) == "done"
    settled = rows(engine, ItemRow, job=job)
    assert [(row["output"], row["tier"]) for row in settled] == [({"label": "a"}, "person"), ({"label": "b"}, "person")]
    gold = [one for one in review.gold_set(engine, skill="sort") if one.id.startswith(job)]
    assert [(one.input, one.gold, one.note) for one in gold] == [
        ({"text": "text 0"}, {"label": "a"}, "plain"),
        ({"text": "text 1"}, {"label": "b"}, ""),
    ]


def test_after_an_answer_the_item_goes_on_to_its_next_step(engine):
    job = waiting_job(engine, 1, steps=2)
    said = review.answer(engine, job=job, item_id="i0", value={"label": "a"})
    assert (said.state, said.goes_on) == ("pending", True)
    (batch,) = flying(engine, job)
    assert [(one.todo[0].step, one.settled) for one in batch.work] == [("s1", {"s0": {"label": "a"}})]
    work(engine, job)
    assert state(engine, job) == "done"


def test_an_answer_that_fails_the_skill_s_checks_changes_nothing(engine):
    job = waiting_job(engine, 1)
    with pytest.raises(UserError, match=r"does not fit the skill 'sort'.*\n- schema: "):
        review.answer(engine, job=job, item_id="i0", value={"colour": "red"})
    assert len(review.waiting(engine, job=job)) == 1
    assert not [one for one in review.gold_set(engine) if one.id.startswith(job)]


def test_a_rejected_item_fails_alone_with_the_person_s_reason(engine):
    job = waiting_job(engine)
    review.reject(engine, job=job, item_id="i0", reason="no question")
    review.answer(engine, job=job, item_id="i1", value={"label": "b"})
    failed, settled = rows(engine, ItemRow, job=job)
    assert (failed["state"], failed["reason"]) == ("failed", "a person rejected it: no question")
    assert (settled["state"], state(engine, job)) == ("settled", "done")
    with engine.db.reading() as tx:
        assert [row["choice"] for row in decisions.of(tx, job=job, kind="review")] == ["reject", "answer"]


@pytest.mark.parametrize(
    ("item_id", "step"),
    [
        pytest.param("nope", None, id="no such item"),
        pytest.param("i0", "s9", id="no such step"),
        pytest.param("i0", None, id="answered already"),
    ],
)
def test_where_nothing_waits_there_is_nothing_to_answer(engine, item_id, step):
    job = waiting_job(engine, 1)
    if (item_id, step) == ("i0", None):
        review.answer(engine, job=job, item_id="i0", value={"label": "a"})
    with pytest.raises(UserError, match=f"nothing waits for a person at item '{item_id}'"):
        review.answer(engine, job=job, item_id=item_id, step=step, value={"label": "a"})


NESTED: list[object] = []
for _ in range(150):
    NESTED = [NESTED]
UNKEPT = {"half a character": "a\ud800", "NUL": "a\0", "digits": 10**400, "levels": NESTED, "no number": float("nan")}


@pytest.mark.parametrize("odd", UNKEPT.values(), ids=UNKEPT.keys())
def test_a_persons_word_that_cannot_be_kept_changes_nothing(engine, odd):
    job = waiting_job(engine, 1)
    with pytest.raises(UserError, match=r"the answer (holds|is nested)"):
        review.answer(engine, job=job, item_id="i0", value={"label": odd})
    with pytest.raises(UserError, match="the answer holds"):
        review.answer(engine, job=job, item_id="i0", value={"label": "a"}, note="a\0")
    with pytest.raises(UserError, match="the reason holds half"):
        review.reject(engine, job=job, item_id="i0", reason="a\ud800")
    assert len(review.waiting(engine, job=job)) == 1
