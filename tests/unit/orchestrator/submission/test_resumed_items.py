"""A job that is gone on with was made of the items that are given again, or it is refused."""

import pytest

from firstline.orchestrator.store import jobs as job_store
from firstline.orchestrator.store.database import Database
from firstline.orchestrator.store.jobs import now
from firstline.orchestrator.store.migrate import migrate
from firstline.orchestrator.store.tables import ItemRow, JobRow
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.orchestrator.submission.resumed_items import expect_same
from firstline.schemas.errors import UserError

ITEMS = [
    InputItem("a", {"text": "one", "n": 0.1}),
    InputItem("b", {}, "row 2 is bad"),
    InputItem("c", {"text": "three"}),
]


@pytest.fixture
def db(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")
    migrate(database)
    with database.writing() as tx:
        row = JobRow(id="j", name="j", workflow="w", state="running", profile={}, options={}, created_at=now())
        job_store.insert(tx, row=row)
        for n, item in enumerate(ITEMS):
            tx.execute(ItemRow.__table__.insert().values(job="j", n=n, item_id=item.item_id, input=item.input))
    yield database
    database.close()


def test_the_same_items_are_taken(db):
    expect_same(db, "j", ITEMS)


@pytest.mark.parametrize(
    ("items", "which"),
    [
        ([*ITEMS[:2], InputItem("c", {"text": "other"})], r"item 3 \('c'\)"),
        (ITEMS[:2], r"item 3 \('c'\)"),
        ([*ITEMS, InputItem("d", {})], r"item 4 \('d'\)"),
        ([ITEMS[2], *ITEMS[:2]], r"item 1 \('c'\)"),
    ],
)
def test_others_are_refused_with_the_first_that_differs(db, items, which):
    with pytest.raises(UserError, match=f"was made of other items: {which} is not the same"):
        expect_same(db, "j", items)
