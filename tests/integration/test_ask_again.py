"""A step of one item asked again of another model: priced before, booked by itself, taken if a person says so."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.engine.lifecycle import settle_trail
from firstline.orchestrator.experiments import ask_again
from firstline.orchestrator.reports.item_history import story_of
from firstline.orchestrator.store import decisions
from firstline.orchestrator.store.tables import ItemRow, JobRow, SubtaskRow
from firstline.schemas.access import Role
from firstline.schemas.errors import OverQuotaError, UserError
from firstline.schemas.verdict import Reject
from tests.integration.jobs import PRICE_USD, answered, begun, flying, rows, work

LARGE, SMALL = "openai/large", "openai/small"


def seconds(engine, job, n=0):
    with engine.db.reading() as tx:
        return ask_again.second_answers(tx, engine.job(tx, job), story_of(tx, job=job, n=n))


def offers(engine, job, n=0, step="s0"):
    with engine.db.reading() as tx:
        return ask_again.offers(tx, engine.job(tx, job), story_of(tx, job=job, n=n), step)


def done(engine, count=2, **options):
    job = begun(engine, count, **options)
    work(engine, job)
    return job


def asked(engine, job, n=0, *, step="s0", model=LARGE, deal=lambda item, todo: None):
    """Ask again, and have a worker answer."""
    second = ask_again.ask_again(job, n, step=step, model=model, role=Role.OPERATOR)
    work(engine, second, deal)
    return second


def as_it_stands(engine, job):
    return [rows(engine, table, job=job) for table in (ItemRow, SubtaskRow)], rows(engine, JobRow, id=job)


def test_each_model_has_its_price_before_it_is_asked(engine):
    job = done(engine)
    found = {one.model: one for one in offers(engine, job)}
    assert {name: one.tier for name, one in found.items()} == {SMALL: "cheap", LARGE: "frontier"}
    assert all(one.cost_usd and one.cost_usd > 0 for one in found.values())


def test_one_call_is_made_and_booked_by_itself_and_the_item_stays_as_it_is(engine):
    job = done(engine)
    before = as_it_stands(engine, job)
    second = ask_again.ask_again(job, 0, step="s0", model=LARGE, role=Role.OPERATOR)
    (batch,) = flying(engine, second)
    assert batch.tier.models[0].name == LARGE
    assert batch.work[0].input["text"] == "text 0"
    work(engine, second)
    (one,) = seconds(engine, job)
    assert (one.step, one.model, one.tier, one.job.job, one.hindrance) == ("s0", LARGE, "frontier", second, None)
    assert one.job.cost_usd == pytest.approx(PRICE_USD)
    assert one.attempt
    assert as_it_stands(engine, job) == before
    assert seconds(engine, job, 1) == ()


def test_an_answer_that_fails_is_not_asked_for_twice_and_cannot_be_taken(engine):
    job = done(engine)
    second = asked(engine, job, deal=lambda item, todo: Reject(reason="failed schema"))
    assert len(seconds(engine, job)) == 1
    with pytest.raises(UserError, match=r"cannot be taken: it is no answer to take: .*failed schema"):
        ask_again.take(job, 0, answer=second, by="Ada")


def test_a_person_takes_it_and_that_is_on_record(engine):
    job = done(engine)
    second = asked(engine, job)
    ask_again.take(job, 0, answer=second, by="Ada")
    item, untouched = sorted(rows(engine, ItemRow, job=job), key=lambda row: row["n"])
    assert (item["state"], item["output"], item["tier"], item["climbed"]) == (
        "settled",
        {"label": "again of 0"},
        "frontier",
        True,
    )
    assert untouched["tier"] == "cheap"
    (one,) = seconds(engine, job)
    assert one.stands
    with engine.db.reading() as tx:
        (told,) = decisions.of(tx, job=job, kind="again")
    assert (told["by"], told["item"], told["step"], told["data"]["job"]) == ("Ada", 0, "s0", second)
    assert told["data"]["before"] == {"label": "s0 of 0"}


def test_an_item_that_failed_settles_by_it(engine):
    job = begun(engine, 1)
    work(engine, job, lambda item, todo: Reject(reason="nobody knew"))
    assert rows(engine, ItemRow, job=job)[0]["state"] == "failed"
    ask_again.take(job, 0, answer=asked(engine, job), by="Ada")
    (item,) = rows(engine, ItemRow, job=job)
    assert (item["state"], item["reason"], item["output"]) == ("settled", None, {"label": "again of 0"})


def test_what_a_later_step_has_read_is_not_replaced_behind_its_back(engine):
    job = done(engine, steps=2)
    first, last = asked(engine, job, step="s0"), asked(engine, job, step="s1")
    with pytest.raises(UserError, match="step 's1' goes on from this one's answer"):
        ask_again.take(job, 0, answer=first, by="Ada")
    ask_again.take(job, 0, answer=last, by="Ada")


def test_nothing_is_taken_while_the_job_runs(engine):
    job = begun(engine, 2)
    settle_trail(engine, answered(flying(engine, job)[0]))
    second = asked(engine, job)
    with pytest.raises(UserError, match="is running; wait until it has ended"):
        ask_again.take(job, 0, answer=second, by="Ada")


@pytest.mark.parametrize(
    ("step", "model", "said"),
    [
        ("s0", "openai/huge", "has no model 'openai/huge'; it has openai/small, openai/large"),
        ("s9", LARGE, "step 's9' was not asked about this item by itself"),
    ],
)
def test_what_cannot_be_asked_is_said_and_nothing_is_submitted(engine, step, model, said):
    job = done(engine)
    with pytest.raises(UserError, match=said):
        ask_again.ask_again(job, 0, step=step, model=model, role=Role.OPERATOR)
    assert seconds(engine, job) == ()


def test_the_answer_to_another_item_is_not_taken(engine):
    job = done(engine)
    second = asked(engine, job, 1)
    with pytest.raises(UserError, match="asked nothing about this item"):
        ask_again.take(job, 0, answer=second, by="Ada")


def test_who_asks_again_is_bound_by_their_tenants_share(engine, monkeypatch):
    job, _ = done(engine), begun(engine)
    settings = engine.settings.model_copy(update={"tenant_jobs": 1})
    monkeypatch.setattr(api.engine(), "settings", settings)
    with pytest.raises(OverQuotaError, match="has 1 jobs that have not ended"):
        ask_again.ask_again(job, 0, step="s0", model=LARGE, role=Role.OPERATOR)
    assert seconds(engine, job) == ()
    assert ask_again.ask_again(job, 0, step="s0", model=LARGE, role=Role.ADMIN)
