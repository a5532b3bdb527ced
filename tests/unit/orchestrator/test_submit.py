"""What is submitted from Python: refused before a job is written, or written whole."""

import pytest

from firstline.orchestrator import api
from firstline.orchestrator.submission.item_reader import InputItem
from firstline.schemas.errors import UserError
from firstline.schemas.job import JobRequest
from tests.unit.web_house import build_house


@pytest.fixture
def house(tmp_path, monkeypatch):
    return build_house(tmp_path, monkeypatch)


def broken_off():
    yield {"text": "one"}
    raise UserError("row 3 is not valid CSV")


@pytest.mark.parametrize(
    ("items", "told"),
    [
        pytest.param(
            [{"body": "a text"}, {"body": "another"}], "no item of the input has `text`", id="a missing field"
        ),
        pytest.param(broken_off(), "row 3 is not valid CSV", id="an input that breaks off"),
    ],
)
def test_a_submit_that_is_refused_leaves_no_job_behind(house, items, told):
    with pytest.raises(UserError, match=told):
        api.submit(JobRequest(workflow="sort", idempotency_key="k"), items)
    assert api.jobs() == []
    with api.engine().db.reading() as tx:
        assert tx.exec_driver_sql("select count(*) from item").scalar() == 0
    assert api.submit(JobRequest(workflow="sort", idempotency_key="k"), [{"text": "x"}])


def test_what_is_streamed_is_not_looked_at_before(house):
    job = api.submit(JobRequest(workflow="sort"), iter([{"body": "x"}]))
    assert api.status(job).items == 1


def test_items_that_could_not_be_read_are_kept_with_their_reason(house):
    job = api.submit(JobRequest(workflow="sort"), [InputItem("a", {}, "line 1 is not valid JSON")])
    (result,) = api.results(job)
    assert result.reason == "line 1 is not valid JSON"
